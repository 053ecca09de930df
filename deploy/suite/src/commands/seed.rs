//! `quartet seed`: demo data. The same arguments generate the same data, so a second run adds
//! nothing.

mod words;

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use quartet_auth::admin::Secret;
use quartet_kernel::Role;
use quartet_todos::domain::{Description, NewTodo, Priority, Tag, Title};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::settings::Settings;
use crate::stable_id::stable_id;
use crate::stores::{Stores, Wanted, describe};

/// Todos written in one transaction.
const BATCH: usize = 100;
/// Password of every demo user.
const PASSWORD: &str = "quartet demo password";

/// How much data to generate.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Users to create: `demo1`, `demo2` and so on, all with the password `quartet demo password`.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    users: u32,
    /// Todos to create, spread over the users.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(0..=10_000_000))]
    todos: u32,
}

/// A demo user and their tags.
struct Owner {
    id: Uuid,
    tags: Vec<Uuid>,
}

pub(crate) async fn run(settings: &Settings, args: &Args) -> anyhow::Result<()> {
    let stores = Stores::open(settings).await?;
    let mut owners = Vec::new();
    let mut new_users = 0;
    for number in 1..=args.users {
        let (owner, created) = ensure_owner(&stores, number).await?;
        new_users += u32::from(created);
        owners.push(owner);
    }
    let bar = ProgressBar::new(u64::from(args.todos));
    bar.set_style(ProgressStyle::with_template(
        "{bar:40} {pos}/{len} todos, {per_sec}, {eta} left",
    )?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut new_todos = 0;
    for (position, owner) in owners.iter().enumerate() {
        // Todo `n` belongs to owner `n` modulo the number of owners.
        let own: Vec<u32> = (0..args.todos).skip(position).step_by(owners.len()).collect();
        for numbers in own.chunks(BATCH) {
            new_todos += insert(&stores, owner, numbers).await?;
            bar.inc(numbers.len() as u64);
        }
    }
    bar.finish_and_clear();
    println!("created {new_users} users and {new_todos} todos; demo1 has the password `{PASSWORD}`");
    Ok(())
}

async fn ensure_owner(stores: &Stores, number: u32) -> anyhow::Result<(Owner, bool)> {
    let (username, email) = (format!("demo{number}"), format!("demo{number}@example.org"));
    let wanted = Wanted {
        name: words::person(number),
        username: &username,
        email: &email,
        secret: Secret::Password(PASSWORD),
        role: Role::User,
    };
    let ensured = stores.ensure_user(wanted).await.map_err(|status| describe(&status))?;
    let mut tags = Vec::new();
    for name in words::TAGS {
        let id = stable_id(&["tag", &ensured.id.to_string(), name]);
        let now = stores.clock.now();
        let tag = Tag {
            id,
            user_id: ensured.id,
            name: (*name).to_owned(),
            created_at: now,
            updated_at: now,
        };
        match stores.todos.insert_tag(&tag, None, &stores.cx()).await {
            Ok(()) => tags.push(id),
            // Of an earlier run, unless the user has created one of that name.
            Err(
                quartet_todos::Error::TagNameTaken { .. }
                | quartet_todos::Error::Store(quartet_store::Error::Unique { .. }),
            ) => {
                tags.extend(
                    stores
                        .todos
                        .find_tag(ensured.id, id, &stores.cx())
                        .await
                        .map_err(|error| describe(&error.into()))?
                        .map(|tag| tag.id),
                );
            }
            Err(error) => return Err(describe(&error.into())),
        }
    }
    Ok((Owner { id: ensured.id, tags }, ensured.created))
}

/// Creates those of these todos that do not exist; returns how many.
async fn insert(stores: &Stores, owner: &Owner, numbers: &[u32]) -> anyhow::Result<usize> {
    let now = stores.clock.now();
    let todos = numbers
        .iter()
        .map(|number| todo(owner, *number, now))
        .collect::<anyhow::Result<Vec<_>>>()?;
    match stores
        .todos
        .insert_todos(owner.id, &todos, None, &stores.cx().at(now))
        .await
    {
        Ok(created) => return Ok(created.len()),
        Err(quartet_todos::Error::Store(quartet_store::Error::Unique { .. })) => {}
        Err(error) => return Err(describe(&error.into())),
    }
    // Some exist from an earlier run: one by one, then.
    let mut created = 0;
    for todo in todos {
        match stores
            .todos
            .insert_todos(owner.id, &[todo], None, &stores.cx().at(now))
            .await
        {
            Ok(_) => created += 1,
            Err(quartet_todos::Error::Store(quartet_store::Error::Unique { .. })) => {}
            Err(error) => return Err(describe(&error.into())),
        }
    }
    Ok(created)
}

fn todo(owner: &Owner, number: u32, now: OffsetDateTime) -> anyhow::Result<NewTodo> {
    let day = now.replace_time(time::Time::from_hms(9, 0, 0)?);
    let priorities = [Priority::Unspecified, Priority::Low, Priority::Medium, Priority::High];
    let tags = owner
        .tags
        .iter()
        .enumerate()
        .filter(|(position, _)| (number as usize + position).is_multiple_of(4));
    Ok(NewTodo {
        id: stable_id(&["todo", &owner.id.to_string(), &number.to_string()]),
        title: Title::parse(&words::title(number))?,
        description: number
            .is_multiple_of(3)
            .then(|| Description::parse(words::description(number)))
            .transpose()?,
        // Not by the remainder that decides the owner: everybody has some of both.
        completed: number / 5 % 5 < 2,
        due_at: (!number.is_multiple_of(4)).then(|| day + time::Duration::days(i64::from(number % 60) - 20)),
        priority: priorities[(number % 4) as usize],
        tag_ids: tags.map(|(_, id)| *id).collect(),
    })
}
