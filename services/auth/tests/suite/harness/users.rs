//! A users service that records its calls, and can be slow or away.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quartet_proto::users::v1 as pb;
use quartet_rpc::host::Host;
use quartet_rpc::upstream::LocalService;
use tonic::body::Body;
use tonic::{Request, Response, Status};
use tower::{Layer, ServiceExt, service_fn};

/// The one method that auth calls: EnsureUser.
#[derive(Clone, Default)]
pub(crate) struct FakeUsers(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    calls: Vec<pb::EnsureUserRequest>,
    tier: Option<String>,
    away: bool,
    delay: Duration,
}

impl FakeUsers {
    /// The calls so far.
    pub(crate) fn calls(&self) -> Vec<pb::EnsureUserRequest> {
        self.0.lock().unwrap().calls.clone()
    }

    /// The tier of every user from now on.
    pub(crate) fn put_in_tier(&self, tier: &str) {
        self.0.lock().unwrap().tier = Some(tier.to_owned());
    }

    /// Answers no call from now on.
    pub(crate) fn go_away(&self) {
        self.0.lock().unwrap().away = true;
    }

    /// Answers late from now on.
    pub(crate) fn slow_down(&self, delay: Duration) {
        self.0.lock().unwrap().delay = delay;
    }

    /// The service behind the access layer, which admits services alone.
    pub(crate) async fn serve(&self, host: &Host) -> LocalService {
        let users = self.clone();
        let routes = service_fn(move |request: http::Request<Body>| {
            let users = users.clone();
            async move {
                let method = service_fn(move |request| users.clone().ensure_user(request));
                let codec = tonic_prost::ProstCodec::default();
                Ok::<_, std::convert::Infallible>(tonic::server::Grpc::new(codec).unary(method, request).await)
            }
        });
        LocalService::new(host.access().layer(routes).map_err(Into::into))
    }

    async fn ensure_user(
        self,
        request: Request<pb::EnsureUserRequest>,
    ) -> Result<Response<pb::EnsureUserResponse>, Status> {
        let (tier, away, delay) = {
            let mut state = self.0.lock().unwrap();
            state.calls.push(request.into_inner());
            (state.tier.clone(), state.away, state.delay)
        };
        tokio::time::sleep(delay).await;
        if away {
            return Err(Status::unavailable("away"));
        }
        Ok(Response::new(pb::EnsureUserResponse { tier }))
    }
}
