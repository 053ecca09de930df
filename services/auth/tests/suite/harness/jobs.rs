//! A jobs service that remembers the mails it was asked for, and can be away, lose answers, or find fault.

use std::sync::{Arc, Mutex};

use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::send_email::Template;
use quartet_proto::jobs::v1::submit_task_request::Payload;
use quartet_rpc::host::Host;
use quartet_rpc::upstream::LocalService;
use tonic::body::Body;
use tonic::{Code, Request, Response, Status};
use tower::{Layer, ServiceExt, service_fn};

use super::{Auth, eventually};

/// The one method that auth calls: SubmitTask.
#[derive(Clone, Default)]
pub(crate) struct FakeJobs(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    taken: Vec<pb::SubmitTaskRequest>,
    calls: usize,
    refusal: Option<Code>,
    answers_to_lose: usize,
}

/// A mail that was asked for.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) to: String,
    pub(crate) language: String,
    pub(crate) template: Template,
}

impl Asked {
    /// Whom the mail greets.
    pub(crate) fn name(&self) -> &str {
        match &self.template {
            Template::Verify(mail) => &mail.name,
            Template::Reset(mail) => &mail.name,
            Template::AddressChange(mail) => &mail.name,
            Template::AddressChangeNotice(mail) => &mail.name,
            other => panic!("auth sends no {other:?}"),
        }
    }

    /// The link that the mail carries, its token, and until when both count, as far as it has them.
    fn key(&self) -> Option<(&str, &str, i64)> {
        let (link, token, expires_at) = match &self.template {
            Template::Verify(mail) => (&mail.link, &mail.token, mail.expires_at),
            Template::Reset(mail) => (&mail.link, &mail.token, mail.expires_at),
            Template::AddressChange(mail) => (&mail.link, &mail.token, mail.expires_at),
            _ => return None,
        };
        Some((link, token, expires_at.unwrap().seconds))
    }

    /// The link that the mail carries.
    pub(crate) fn link(&self) -> &str {
        self.key().expect("the mail has a link").0
    }

    /// The token in the link, which the mail tells as well.
    pub(crate) fn token(&self) -> String {
        let (link, token, _) = self.key().expect("the mail has a link");
        assert!(link.ends_with(&format!("?token={token}")), "{link}");
        token.to_owned()
    }

    /// Until when the link counts, in seconds since the epoch.
    pub(crate) fn expires_at(&self) -> i64 {
        self.key().expect("the mail has a link").2
    }
}

impl FakeJobs {
    /// Refuses every call with this code, or none any more.
    pub(crate) fn refuse(&self, refusal: Option<Code>) {
        self.0.lock().unwrap().refusal = refusal;
    }

    /// Takes the next `count` calls and loses their answers.
    pub(crate) fn lose_answers(&self, count: usize) {
        self.0.lock().unwrap().answers_to_lose = count;
    }

    /// How often it was called.
    pub(crate) fn calls(&self) -> usize {
        self.0.lock().unwrap().calls
    }

    /// The mails that were taken, the oldest first; one per key.
    pub(crate) fn mails(&self) -> Vec<Asked> {
        let state = self.0.lock().unwrap();
        let mails = state.taken.iter().map(|task| match task.payload.clone().unwrap() {
            Payload::SendEmail(mail) => Asked {
                to: mail.to,
                language: mail.language,
                template: mail.template.unwrap(),
            },
        });
        mails.collect()
    }

    /// The service behind the access layer, which admits services alone.
    pub(crate) async fn serve(&self, host: &Host) -> LocalService {
        let jobs = self.clone();
        let routes = service_fn(move |request: http::Request<Body>| {
            let jobs = jobs.clone();
            async move {
                let method = service_fn(move |request| std::future::ready(jobs.submit(request)));
                let codec = tonic_prost::ProstCodec::default();
                Ok::<_, std::convert::Infallible>(tonic::server::Grpc::new(codec).unary(method, request).await)
            }
        });
        LocalService::new(host.access().layer(routes).map_err(Into::into))
    }

    fn submit(&self, request: Request<pb::SubmitTaskRequest>) -> Result<Response<pb::SubmitTaskResponse>, Status> {
        let task = request.into_inner();
        let mut state = self.0.lock().unwrap();
        state.calls += 1;
        if let Some(code) = state.refusal {
            return Err(Status::new(code, "not now, or never"));
        }
        let known = state.taken.iter().position(|taken| taken.unique_key == task.unique_key);
        match known {
            Some(position) if state.taken[position] == task => {}
            Some(_) => return Err(Status::already_exists("the key belongs to another task")),
            None => state.taken.push(task),
        }
        if state.answers_to_lose > 0 {
            state.answers_to_lose -= 1;
            return Err(Status::unavailable("the answer is lost"));
        }
        Ok(Response::new(pb::SubmitTaskResponse::default()))
    }
}

impl Auth {
    /// The mails to this address, the oldest first, once there are `count` of them.
    pub(crate) async fn mails_to(&self, address: &str, count: usize) -> Vec<Asked> {
        let mut found = Vec::new();
        eventually(async || {
            found = self.jobs.mails();
            found.retain(|mail| mail.to.ends_with(address));
            found.len() >= count
        })
        .await;
        assert_eq!(found.len(), count, "{found:?}");
        found
    }
}
