//! The stores of the services, opened for a command.

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

/// The stores of the services, migrated according to the settings.
pub(crate) struct Stores {
    pub(crate) auth: Box<dyn quartet_auth::store::Store>,
    pub(crate) users: Box<dyn quartet_users::store::Store>,
    pub(crate) todos: Box<dyn quartet_todos::store::Store>,
    pub(crate) clock: Clock,
    auth_settings: quartet_auth::config::Own,
}

/// The user that a command ensures.
pub(crate) struct Wanted<'a> {
    pub(crate) name: &'a str,
    pub(crate) username: &'a str,
    pub(crate) email: &'a str,
    pub(crate) secret: quartet_auth::admin::Secret<'a>,
    pub(crate) role: Role,
}

/// A user who exists.
pub(crate) struct Ensured {
    pub(crate) id: Uuid,
    /// Whether the command created the user.
    pub(crate) created: bool,
}

impl Stores {
    pub(crate) async fn open(settings: &Settings) -> anyhow::Result<Self> {
        data_folder::create(&settings.own.data_dir)?;
        let clock = Clock::system();
        // The events of a command are in the outboxes; the relay of a running suite publishes them,
        // or that of the next one.
        let publisher = Publisher::detached(clock.clone());
        let ended = quartet_auth::ended_sessions::EndedSessions::new(settings.auth.own.revocation_life());
        let auth = quartet_auth::store::open(&settings.auth).await.map_err(plain)?;
        let users = quartet_users::store::open(&settings.users).await.map_err(plain)?;
        let todos = quartet_todos::store::open(&settings.todos).await.map_err(plain)?;
        Ok(Self {
            auth: quartet_auth::store::over(auth, publisher.clone(), ended),
            users: quartet_users::store::over(users, publisher.clone()),
            todos: quartet_todos::store::over(todos, publisher),
            clock,
            auth_settings: settings.auth.own.clone(),
        })
    }

    /// The circumstances of one step of a command.
    pub(crate) fn cx(&self) -> Context {
        Context::new(&self.clock, deadline())
    }

    /// Creates an account and its user, unless one of that name and address exists. A superuser is
    /// created only under a name and an address that no plain user has.
    ///
    /// Errors: the fields that break their rules; a name or an address of another account.
    pub(crate) async fn ensure_user(&self, wanted: Wanted<'_>) -> Result<Ensured, Status> {
        let request = quartet_auth::admin::Wanted {
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
            Role::Superuser => quartet_auth::admin::create_superuser(store, clock, settings, request, &cx).await,
            Role::User => quartet_auth::admin::import_account(store, clock, settings, request, &cx).await,
        }?;
        let (created, account) = match outcome {
            quartet_auth::admin::Outcome::Opened(account) => (true, account),
            quartet_auth::admin::Outcome::Found(account) => (false, account),
        };
        self.ensure_row(&account, wanted.name).await?;
        Ok(Ensured {
            id: account.id,
            created,
        })
    }

    /// Creates the user row of an account, so that the user exists before the first login.
    async fn ensure_row(&self, account: &quartet_auth::domain::Account, name: &str) -> Result<(), Status> {
        use quartet_users::domain::Account;
        // The auth service checks the same rules.
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

/// The deadline of one operation of a command.
fn deadline() -> Deadline {
    Deadline::after(Duration::from_secs(60))
}

/// A status as an error for the terminal: the fields and the rules that they break.
pub(crate) fn describe(status: &Status) -> anyhow::Error {
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
