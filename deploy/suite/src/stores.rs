//! The stores of all services, opened for a command.

use anyhow::anyhow;
use quartet_clock::Clock;
use quartet_kernel::{Deadline, DisplayName, Email, Role, Username};
use quartet_messaging::Publisher;
use quartet_rpc::host::StartError;
use quartet_store::Context;
use std::time::Duration;
use tonic::Status;
use uuid::Uuid;

use crate::data_folder;
use crate::settings::Settings;

/// The stores of all services, migrated if the settings say so.
pub(crate) struct Stores {
    pub(crate) auth: Box<dyn quartet_auth::store::Store>,
    pub(crate) users: Box<dyn quartet_users::store::Store>,
    pub(crate) todos: Box<dyn quartet_todos::store::Store>,
    pub(crate) clock: Clock,
    auth_settings: quartet_auth::config::Own,
}

/// A user as a command wants them.
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    pub(crate) username: &'a str,
    pub(crate) email: &'a str,
    pub(crate) secret: quartet_auth::admin::Secret<'a>,
    pub(crate) role: Role,
}

/// A user who is there after the command.
pub(crate) struct There {
    pub(crate) id: Uuid,
    /// Whether the command made them.
    pub(crate) made: bool,
}

impl Stores {
    pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        data_folder::make(&settings.own.data_dir)?;
        let clock = Clock::system();
        // What a command does is told of by the outboxes; a suite that runs finds it there, or the next one that starts.
        let outgoing = Publisher::detached(clock.clone());
        let ended = quartet_auth::ended_sessions::EndedSessions::new(settings.auth.own.revocation_life());
        let auth = quartet_auth::store::open(&settings.auth).await.map_err(plain)?;
        let users = quartet_users::store::open(&settings.users).await.map_err(plain)?;
        let todos = quartet_todos::store::open(&settings.todos).await.map_err(plain)?;
        Ok(Self {
            auth: quartet_auth::store::over(auth, outgoing.clone(), ended),
            users: quartet_users::store::over(users, outgoing.clone()),
            todos: quartet_todos::store::over(todos, outgoing),
            clock,
            auth_settings: settings.auth.own.clone(),
        })
    }

    /// The circumstances of one step of a command.
    pub(crate) fn cx(&self) -> Context {
        Context::new(&self.clock, patience())
    }

    /// Makes an account and its user, unless one of that name and address is there. A superuser is made only under a name and an address that no
    /// mere user holds.
    ///
    /// Errors: the fields that break their rules; a name or an address that is another account's.
    pub(crate) async fn ensure_user(&self, wanted: Wanted<'_>) -> Result<There, Status> {
        let asked = quartet_auth::admin::Wanted {
            id: None,
            name: wanted.name,
            username: wanted.username,
            email: wanted.email,
            secret: wanted.secret,
            role: wanted.role,
            email_verified: true,
        };
        let (store, clock, settings) = (self.auth.as_ref(), &self.clock, &self.auth_settings);
        let cx = self.cx();
        let outcome = match wanted.role {
            Role::Superuser => quartet_auth::admin::create_superuser(store, clock, settings, asked, &cx).await,
            Role::User => quartet_auth::admin::import_account(store, clock, settings, asked, &cx).await,
        }?;
        let (made, account) = match outcome {
            quartet_auth::admin::Outcome::Opened(account) => (true, account),
            quartet_auth::admin::Outcome::Found(account) => (false, account),
        };
        self.ensure_row(&account, wanted.name).await?;
        Ok(There { id: account.id, made })
    }

    /// Makes the user's row of an account, so that they are seen before they first sign in.
    async fn ensure_row(&self, account: &quartet_auth::domain::Account, name: &str) -> Result<(), Status> {
        use quartet_users::domain::Account;
        // The auth service has held both to the same rules.
        let stale = |_| Status::internal("the account's name or address breaks a rule of users");
        let account = Account {
            id: account.id,
            name: DisplayName::parse(name).ok(),
            username: Username::parse(&account.username).map_err(stale)?,
            email: Email::parse(&account.email).map_err(stale)?,
            role: account.role,
            updated_at: Some(account.updated_at),
        };
        self.users.ensure_user(&account, &self.cx()).await?;
        Ok(())
    }
}

/// The deadline of one act of a command.
pub(crate) fn patience() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// What a person is told of a refusal: the fields and their rules.
pub(crate) fn told(status: &Status) -> anyhow::Error {
    use tonic_types::StatusExt as _;
    let fields = status
        .get_details_bad_request()
        .map(|bad| bad.field_violations)
        .unwrap_or_default();
    if fields.is_empty() {
        return anyhow!("{}", status.message());
    }
    let fields: Vec<String> = fields
        .iter()
        .map(|field| format!("{} {}", field.field, field.description))
        .collect();
    anyhow!("{}", fields.join("; "))
}

fn plain(error: StartError) -> anyhow::Error {
    anyhow!(error)
}
