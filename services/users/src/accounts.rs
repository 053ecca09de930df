//! The accounts behind the users. The auth service decides on user names, addresses and who may
//! sign in.
//!
//! Every change here is two changes, one in each service, and either service may fail between them.
//! The order makes each failure harmless and each retry right:
//!
//! - An account is opened in auth first, whose event makes the user if this service cannot.
//! - A name or address changes in auth first, since auth alone can refuse it. What the account then
//!   has is copied here: an address is copied once it is proven. If the copy is lost, the account's
//!   next login or refresh brings it (EnsureUser), and a repeated request for the same name leaves
//!   the account as it is.
//! - A deletion, a restoration and a purge are first written here without a commit
//!   ([`PendingChange`](crate::store::PendingChange)), then sent to auth, then committed. A store
//!   that cannot write fails before auth acts; a refusal or an outage of auth rolls the change
//!   back. What is left is an answer of auth that never arrives, or a commit that fails after it.
//!   The user is then as before here while auth has acted: a repeated request finishes it, since
//!   all three acts of auth change nothing the second time.
//!
//! Auth must not call this service while it holds what these acts need, or the two would wait for
//! one another.

use std::time::Duration;

use quartet_kernel::{Deadline, DeadlineExceeded, DisplayName, Email, Role, Username, id};
use quartet_proto::auth::v1 as pb;
use quartet_proto::auth::v1::auth_service_client::AuthServiceClient;
use quartet_proto::options::Reason;
use quartet_proto::users::v1::CreateUserRequest;
use quartet_rpc::failure::reason_of;
use quartet_rpc::{Call, Failure, Peer, Upstream, timestamp};
use tonic::{Code, Request, Response, Status};
use tonic_types::StatusExt;
use uuid::Uuid;

use crate::Error;
use crate::domain::{Account, UserEdit};

/// How long a pending change waits for auth: shorter than others wait for the store's one writer.
const AUTH_TIMEOUT: Duration = Duration::from_secs(2);

/// The accounts behind the users.
#[derive(Clone)]
pub struct Accounts {
    auth: Peer,
}

impl Accounts {
    /// The accounts of the service `auth`.
    pub fn new(auth: Peer) -> Self {
        Self { auth }
    }

    /// Opens an account for a new user. Auth checks the fields, which have the same names there.
    ///
    /// Errors: invalid fields; [`Error::UsernameTaken`], [`Error::EmailTaken`]; UNAVAILABLE when auth is
    /// away.
    pub async fn open(&self, call: &Call, wanted: CreateUserRequest) -> Result<Account, Error> {
        let name = DisplayName::optional(&wanted.name).ok().flatten();
        let message = pb::OpenAccountRequest {
            name: wanted.name,
            username: wanted.username,
            email: wanted.email,
            password: wanted.password,
        };
        let answer = self
            .send(call, call.deadline, message, async |mut client, request| {
                client.open_account(request).await
            })
            .await?;
        let account = answer
            .map_err(|status| self.refusal(Uuid::nil(), "", &status))?
            .into_inner();
        let broken = |_| Failure::internal();
        Ok(Account {
            id: id::parse(&account.id).map_err(broken)?,
            name,
            username: Username::parse(&account.username).map_err(broken)?,
            email: Email::parse(&account.email).map_err(broken)?,
            role: Role::User,
            updated_at: timestamp::parse(account.updated_at.as_ref()).map_err(broken)?,
        })
    }

    /// Gives the account the user name and the address of `edit`, and `edit` what the account then
    /// has: a new address is not the account's before it is proven.
    ///
    /// Errors: [`Error::UserNotFound`], [`Error::UsernameTaken`], [`Error::EmailTaken`];
    /// UNAVAILABLE when auth is away.
    pub async fn update(&self, call: &Call, id: Uuid, edit: &mut UserEdit) -> Result<(), Error> {
        let message = pb::UpdateAccountRequest {
            account_id: id.to_string(),
            username: edit.username.as_ref().map(|username| username.as_str().to_owned()),
            email: edit.email.as_ref().map(|email| email.as_str().to_owned()),
        };
        let answer = self
            .send(call, call.deadline, message, async |mut client, request| {
                client.update_account(request).await
            })
            .await?;
        let account = answer
            .map_err(|status| self.refusal(id, "user.", &status))?
            .into_inner();
        edit.account_at = timestamp::parse(account.updated_at.as_ref()).map_err(|_| Failure::internal())?;
        edit.pending_email = account.pending_email;
        if edit.username.is_some() {
            let username = Username::parse(&account.username).map_err(|_| Failure::internal())?;
            edit.username = Some(username);
        }
        if edit.email.is_some() {
            let email = Email::parse(&account.email).map_err(|_| Failure::internal())?;
            edit.email = Some(email);
        }
        Ok(())
    }

    /// Closes the account: its sessions end and it cannot sign in.
    ///
    /// Errors: [`Error::LastSuperuser`]; UNAVAILABLE when auth is away.
    pub async fn close(&self, call: &Call, id: Uuid) -> Result<(), Error> {
        let message = pb::CloseAccountRequest {
            account_id: id.to_string(),
        };
        let answer = self
            .send(
                call,
                Deadline::after(AUTH_TIMEOUT),
                message,
                async |mut client, request| client.close_account(request).await,
            )
            .await?;
        match answer {
            Ok(_) => Ok(()),
            // Nobody can sign in with an account that is gone: that is what was requested.
            Err(status) if is(&status, Reason::AccountNotFound) => Ok(()),
            Err(status) => Err(self.refusal(id, "user.", &status)),
        }
    }

    /// Opens a closed account again.
    ///
    /// Errors: [`Error::UserNotFound`] when the account was purged; UNAVAILABLE when auth is away.
    pub async fn reopen(&self, call: &Call, id: Uuid) -> Result<(), Error> {
        let message = pb::ReopenAccountRequest {
            account_id: id.to_string(),
        };
        let answer = self
            .send(
                call,
                Deadline::after(AUTH_TIMEOUT),
                message,
                async |mut client, request| client.reopen_account(request).await,
            )
            .await?;
        answer.map(|_| ()).map_err(|status| self.refusal(id, "user.", &status))
    }

    /// Deletes the account for good.
    ///
    /// Errors: [`Error::LastSuperuser`]; UNAVAILABLE when auth is away.
    pub async fn purge(&self, call: &Call, id: Uuid) -> Result<(), Error> {
        let message = pb::PurgeAccountRequest {
            account_id: id.to_string(),
        };
        let answer = self
            .send(
                call,
                Deadline::after(AUTH_TIMEOUT),
                message,
                async |mut client, request| client.purge_account(request).await,
            )
            .await?;
        answer.map(|_| ()).map_err(|status| self.refusal(id, "user.", &status))
    }

    /// Sends one request and waits for its answer until `deadline`, or the caller's if that is
    /// sooner.
    async fn send<M, R>(
        &self,
        call: &Call,
        deadline: Deadline,
        message: M,
        send: impl AsyncFnOnce(AuthServiceClient<Upstream>, Request<M>) -> Result<Response<R>, Status>,
    ) -> Result<Result<Response<R>, Status>, Error> {
        let bounded = Call {
            deadline: deadline.min(call.deadline),
            ..call.clone()
        };
        let request = self.auth.request(&bounded, message)?;
        let client = AuthServiceClient::new(self.auth.upstream());
        let late = match bounded.deadline.bound(send(client, request)).await {
            Ok(Err(status)) if status.code() == Code::DeadlineExceeded => DeadlineExceeded,
            Ok(answer) => return Ok(answer),
            Err(late) => late,
        };
        // To a caller who would still wait, an auth service that does not answer is away.
        match call.deadline.has_passed() {
            true => Err(late.into()),
            false => Err(Failure::unavailable(self.auth.upstream().name()).into()),
        }
    }

    /// The error of a refusal. `path` leads to the fields that auth names.
    fn refusal(&self, id: Uuid, path: &str, status: &Status) -> Error {
        if is(status, Reason::UsernameTaken) {
            return Error::UsernameTaken;
        }
        if is(status, Reason::EmailTaken) {
            return Error::EmailTaken;
        }
        if is(status, Reason::LastSuperuser) {
            return Error::LastSuperuser;
        }
        if is(status, Reason::AccountNotFound) {
            return Error::UserNotFound { id };
        }
        match status.get_details_bad_request() {
            // A name that this service lets pass and auth does not, under the path that the caller
            // used.
            Some(bad) if is(status, Reason::ValidationFailed) => {
                let mut violations = bad.field_violations;
                for violation in &mut violations {
                    violation.field.insert_str(0, path);
                }
                Failure::invalid(violations, 0).into()
            }
            _ => self.auth.failure(status).into(),
        }
    }
}

fn is(status: &Status, reason: Reason) -> bool {
    reason_of(status).as_deref() == Some(reason.code())
}
