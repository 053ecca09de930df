//! `quartet import`: users, tags and todos from a JSON file. Rows that exist are skipped; an
//! invalid row is reported with its line, and the import continues.

mod file;

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context as _, anyhow};
use quartet_auth::admin::Secret;
use quartet_kernel::{Role, Violations};
use quartet_rpc::Failure;
use quartet_todos::domain::{Description, NewTodo, Priority, Tag, TagName, Title};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use tonic::Status;
use uuid::Uuid;

use crate::settings::Settings;
use crate::stable_id::stable_id;
use crate::stores::{Stores, Wanted, describe};

/// The file to import.
#[derive(clap::Args)]
#[command(after_help = r#"The file is an object of three lists, each of which may be missing:
  {
    "users": [{"username": "ada", "email": "ada@example.org", "name": "Ada", "password": "…"}],
    "tags":  [{"user": "ada", "name": "home"}],
    "todos": [{"user": "ada", "title": "Water the plants", "due_at": "2030-01-01T09:00:00Z",
               "priority": "high", "completed": false, "tags": ["home"]}]
  }
In place of `password` a user may have `password_hash`: an argon2, bcrypt or sha256_crypt hash."#)]
pub(crate) struct Args {
    /// Path of the file.
    file: PathBuf,
}

/// The outcomes of the rows of one list.
#[derive(Default)]
struct Count {
    created: usize,
    existing: usize,
    invalid: usize,
}

struct Import {
    stores: Stores,
    users: HashMap<String, Uuid>,
    /// How often the file has had a todo of this owner, title and date so far: equal rows are
    /// distinct todos.
    seen: HashMap<(Uuid, String, String), usize>,
}

pub(crate) async fn run(settings: &Settings, args: &Args) -> anyhow::Result<()> {
    let name = args.file.display().to_string();
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("reading {name}"))?;
    let lists: file::Lists<'_> =
        serde_json::from_str(&text).with_context(|| format!("{name} is not an import file"))?;
    let mut import = Import {
        stores: Stores::open(settings).await?,
        users: HashMap::new(),
        seen: HashMap::new(),
    };

    let mut counts = [Count::default(), Count::default(), Count::default()];
    for (list, rows) in [&lists.users, &lists.tags, &lists.todos].into_iter().enumerate() {
        for row in rows {
            let outcome = match list {
                0 => import.user(row).await,
                1 => import.tag(row).await,
                _ => import.todo(row).await,
            };
            match outcome {
                Ok(true) => counts[list].created += 1,
                Ok(false) => counts[list].existing += 1,
                Err(error) => {
                    counts[list].invalid += 1;
                    eprintln!("{name}:{}: {error:#}", file::line_of(&text, row));
                }
            }
        }
    }
    for (list, count) in ["users", "tags", "todos"].into_iter().zip(&counts) {
        println!(
            "{list}: {} created, {} existing, {} invalid",
            count.created, count.existing, count.invalid
        );
    }
    match counts.iter().map(|count| count.invalid).sum::<usize>() {
        0 => Ok(()),
        invalid => Err(anyhow!("{invalid} rows were not imported")),
    }
}

/// Each method imports one row; it returns whether the row was created.
impl Import {
    async fn user(&mut self, row: &RawValue) -> anyhow::Result<bool> {
        let row: file::User = parse(row)?;
        let secret = match (&row.password, &row.password_hash) {
            (Some(password), None) => Secret::Password(password),
            (None, Some(hash)) => Secret::Hash(hash),
            _ => return Err(anyhow!("password or password_hash is required, and one of them only")),
        };
        let role = match row.role.as_deref() {
            None | Some("user") => Role::User,
            Some("superuser") => Role::Superuser,
            Some(_) => return Err(anyhow!("role must be user or superuser")),
        };
        let name = row.name.as_deref().unwrap_or_default();
        let wanted = Wanted {
            name,
            username: &row.username,
            email: &row.email,
            secret,
            role,
        };
        let ensured = self
            .stores
            .ensure_user(wanted)
            .await
            .map_err(|status| describe(&status))?;
        self.users.insert(row.username, ensured.id);
        Ok(ensured.created)
    }

    async fn tag(&mut self, row: &RawValue) -> anyhow::Result<bool> {
        let row: file::Tag = parse(row)?;
        let user_id = self.owner(&row.user).await?;
        let name = TagName::parse(&row.name).map_err(|rule| anyhow!("name {rule}"))?;
        self.ensure_tag(user_id, &name).await
    }

    async fn todo(&mut self, row: &RawValue) -> anyhow::Result<bool> {
        let row: file::Todo = parse(row)?;
        let user_id = self.owner(&row.user).await?;
        let mut violations = Violations::new();
        let title = violations.check("title", Title::parse(&row.title));
        let description = row.description.as_deref().filter(|text| !text.is_empty());
        let description = violations.check("description", description.map(Description::parse).transpose());
        let names = row
            .tags
            .iter()
            .filter_map(|tag| violations.check("tags", TagName::parse(tag)));
        let names: Vec<TagName> = names.collect();
        violations
            .finish()
            .map_err(|invalid| describe(&Status::from(Failure::from(invalid))))?;
        let (Some(title), Some(description)) = (title, description) else {
            return Err(anyhow!("the row breaks a rule"));
        };
        let priority = match row.priority.as_deref() {
            None => Priority::Unspecified,
            Some("low") => Priority::Low,
            Some("medium") => Priority::Medium,
            Some("high") => Priority::High,
            Some(_) => return Err(anyhow!("priority must be low, medium or high")),
        };
        let mut tag_ids = Vec::new();
        for name in &names {
            self.ensure_tag(user_id, name).await?;
            tag_ids.extend(self.tag_id(user_id, name).await?.filter(|id| !tag_ids.contains(id)));
        }
        let due = row.due_at.map(|at| at.to_string()).unwrap_or_default();
        let seen = self
            .seen
            .entry((user_id, title.as_str().to_owned(), due.clone()))
            .or_default();
        *seen += 1;
        let id = stable_id(&[
            "imported todo",
            &user_id.to_string(),
            title.as_str(),
            &due,
            &seen.to_string(),
        ]);
        let new = NewTodo {
            id,
            title,
            description,
            completed: row.completed,
            due_at: row.due_at,
            priority,
            tag_ids,
        };
        match self
            .stores
            .todos
            .insert_todos(user_id, &[new], None, &self.stores.cx())
            .await
        {
            Ok(_) => Ok(true),
            Err(quartet_todos::Error::Store(quartet_store::Error::Unique { .. })) => Ok(false),
            Err(error) => Err(describe(&error.into())),
        }
    }

    /// The id of a user of the file or of the store.
    async fn owner(&mut self, username: &str) -> anyhow::Result<Uuid> {
        if let Some(id) = self.users.get(username) {
            return Ok(*id);
        }
        let found = self
            .stores
            .auth
            .find_account_by_username(username, &self.stores.cx())
            .await;
        let account = found.map_err(|error| describe(&error.into()))?;
        let account = account.ok_or_else(|| anyhow!("user `{username}` is neither in the file nor in the store"))?;
        self.users.insert(username.to_owned(), account.id);
        Ok(account.id)
    }

    async fn ensure_tag(&self, user_id: Uuid, name: &TagName) -> anyhow::Result<bool> {
        let now = self.stores.clock.now();
        let id = self.stores.clock.new_id();
        let tag = Tag {
            id,
            user_id,
            name: name.as_str().to_owned(),
            created_at: now,
            updated_at: now,
        };
        match self.stores.todos.insert_tag(&tag, None, &self.stores.cx()).await {
            Ok(()) => Ok(true),
            Err(quartet_todos::Error::TagNameTaken { .. }) => Ok(false),
            Err(error) => Err(describe(&error.into())),
        }
    }

    async fn tag_id(&self, user_id: Uuid, name: &TagName) -> anyhow::Result<Option<Uuid>> {
        let found = self
            .stores
            .todos
            .find_tag_by_name(user_id, name, &self.stores.cx())
            .await;
        Ok(found.map_err(|error| describe(&error.into()))?.map(|tag| tag.id))
    }
}

fn parse<T: DeserializeOwned>(row: &RawValue) -> anyhow::Result<T> {
    // The position in serde's message is relative to the row; the line of the file precedes the
    // message.
    serde_json::from_str(row.get()).map_err(|error| {
        let text = error.to_string();
        anyhow!(
            "{}",
            text.rsplit_once(" at line ")
                .map_or(text.as_str(), |(message, _)| message)
        )
    })
}
