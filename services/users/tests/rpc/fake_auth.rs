//! An auth service that records its requests and answers the way that a test sets.

use std::sync::{Arc, Mutex};

use quartet_kernel::{Rule, violations};
use quartet_proto::auth::v1 as pb;
use quartet_proto::auth::v1::auth_service_server::{AuthService, AuthServiceServer};
use quartet_proto::options::Reason;
use quartet_rpc::host::Hosted;
use quartet_rpc::{Call, Caller, Failure};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;
use tonic::{Code, Request, Response, Status};

/// How it answers.
#[derive(Debug, Clone, Default)]
pub(crate) enum Mood {
    /// Does what is requested.
    #[default]
    Willing,
    /// Refuses for this reason.
    Refuses(Code, Reason),
    /// Refuses this field.
    Finds(&'static str, &'static str),
    /// Cannot be reached.
    Away,
    /// Never answers.
    Late,
    /// Does what is requested once the test lets it, by [`FakeAuth::release`].
    Waiting,
}

#[derive(Clone)]
pub(crate) struct FakeAuth {
    mood: Arc<Mutex<Mood>>,
    requests: Arc<Mutex<Vec<String>>>,
    /// The address that accounts keep, whatever is requested.
    kept: Arc<Mutex<Option<String>>>,
    reached: Arc<Semaphore>,
    released: Arc<Semaphore>,
}

impl Default for FakeAuth {
    fn default() -> Self {
        Self {
            mood: Arc::default(),
            requests: Arc::default(),
            kept: Arc::default(),
            reached: Arc::new(Semaphore::new(0)),
            released: Arc::new(Semaphore::new(0)),
        }
    }
}

impl FakeAuth {
    pub(crate) fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Gives accounts no address but this one from now on: any other is yet to be proven.
    pub(crate) fn keep(&self, email: &str) {
        *self.kept.lock().unwrap() = Some(email.to_owned());
    }

    /// The requests since the last call of this.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }

    /// Waits until a call is being answered.
    pub(crate) async fn reached(&self) {
        self.reached.acquire().await.unwrap().forget();
    }

    pub(crate) fn release(&self) {
        self.released.add_permits(1);
    }

    async fn answer<T>(&self, request: &Request<T>, request_line: String) -> Result<(), Status> {
        assert_eq!(
            request.extensions().get::<Call>().unwrap().caller,
            Caller::Service("users".into())
        );
        self.requests.lock().unwrap().push(request_line);
        self.reached.add_permits(1);
        let mood = self.mood.lock().unwrap().clone();
        match mood {
            Mood::Willing => Ok(()),
            Mood::Refuses(code, reason) => Err(Failure::new(code, reason, "no").into()),
            Mood::Finds(field, rule) => Err(Failure::from(violations::one(field, Rule::new(rule, "no"))).into()),
            Mood::Away => Err(Status::unavailable("connection refused")),
            Mood::Late => std::future::pending().await,
            Mood::Waiting => {
                self.released.acquire().await.unwrap().forget();
                Ok(())
            }
        }
    }
}

impl Hosted for FakeAuth {
    fn add_to(&self, routes: &mut RoutesBuilder) {
        routes.add_service(AuthServiceServer::new(self.clone()));
    }

    fn probe(&self) -> quartet_rpc::server::Probe {
        quartet_rpc::server::Probe::of(async || true)
    }

    async fn run(self, stop: CancellationToken) {
        stop.cancelled().await;
    }
}

/// The service with the methods in the block and all the others, which nobody calls.
macro_rules! auth_service {
    ({ $($requests:tt)* } $($method:ident($request:ident) -> $reply:ty;)*) => {
        #[async_trait::async_trait]
        impl AuthService for FakeAuth {
            type WatchRevocationsStream = tokio_stream::Empty<Result<pb::WatchRevocationsResponse, Status>>;

            $($requests)*

            $(
                async fn $method(&self, _: Request<pb::$request>) -> Result<Response<$reply>, Status> {
                    Err(Status::unimplemented("the users service does not ask for this"))
                }
            )*
        }
    };
}

auth_service! {
    {
        async fn update_account(
            &self,
            request: Request<pb::UpdateAccountRequest>,
        ) -> Result<Response<pb::Account>, Status> {
            let pb::UpdateAccountRequest { account_id, username, email } = request.get_ref();
            self.answer(&request, format!("update {account_id} {username:?} {email:?}")).await?;
            let kept = self.kept.lock().unwrap().clone();
            Ok(Response::new(pb::Account {
                id: account_id.clone(),
                username: username.clone().unwrap_or_default(),
                email: kept.or_else(|| email.clone()).unwrap_or_default(),
                ..pb::Account::default()
            }))
        }

        async fn open_account(
            &self,
            request: Request<pb::OpenAccountRequest>,
        ) -> Result<Response<pb::Account>, Status> {
            let pb::OpenAccountRequest { username, email, .. } = request.get_ref();
            self.answer(&request, format!("open {username} {email}")).await?;
            Ok(Response::new(pb::Account {
                id: uuid::Uuid::from_u128(7).to_string(),
                username: username.clone(),
                email: email.clone(),
                ..pb::Account::default()
            }))
        }

        async fn close_account(&self, request: Request<pb::CloseAccountRequest>) -> Result<Response<()>, Status> {
            self.answer(&request, format!("close {}", request.get_ref().account_id)).await?;
            Ok(Response::new(()))
        }

        async fn reopen_account(&self, request: Request<pb::ReopenAccountRequest>) -> Result<Response<()>, Status> {
            self.answer(&request, format!("reopen {}", request.get_ref().account_id)).await?;
            Ok(Response::new(()))
        }

        async fn purge_account(&self, request: Request<pb::PurgeAccountRequest>) -> Result<Response<()>, Status> {
            self.answer(&request, format!("purge {}", request.get_ref().account_id)).await?;
            Ok(Response::new(()))
        }
    }
    register(RegisterRequest) -> pb::RegisterResponse;
    login(LoginRequest) -> pb::TokenResponse;
    token(TokenRequest) -> pb::TokenResponse;
    refresh(RefreshRequest) -> pb::TokenResponse;
    logout(LogoutRequest) -> pb::LogoutResponse;
    logout_all(LogoutAllRequest) -> pb::LogoutResponse;
    reauthenticate(ReauthenticateRequest) -> pb::ReauthenticateResponse;
    end_sessions(EndSessionsRequest) -> ();
    undo_email_change(UndoEmailChangeRequest) -> ();
    list_sessions(ListSessionsRequest) -> pb::ListSessionsResponse;
    revoke_session(RevokeSessionRequest) -> ();
    replace_password(ReplacePasswordRequest) -> pb::TokenResponse;
    change_password(ChangePasswordRequest) -> ();
    request_password_reset(RequestPasswordResetRequest) -> ();
    reset_password(ResetPasswordRequest) -> ();
    request_email_verification(RequestEmailVerificationRequest) -> ();
    verify_email(VerifyEmailRequest) -> ();
    get_me(GetMeRequest) -> pb::Account;
    set_role(SetRoleRequest) -> pb::Account;
    set_status(SetStatusRequest) -> pb::Account;
    get_jwks(GetJwksRequest) -> pb::JwkSet;
    watch_revocations(WatchRevocationsRequest) -> Self::WatchRevocationsStream;
}
