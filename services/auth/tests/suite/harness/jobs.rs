//! A jobs service that sends the mails that were requested, as its workers do.

use std::sync::{Arc, Mutex};

use prost::Message as _;
use quartet_proto::auth::v1 as pb;
use quartet_proto::events::Event as _;
use quartet_store::Database;

use super::Auth;

/// Takes events out of the outbox, and keeps the mails that it has sent.
#[derive(Clone, Default)]
pub(crate) struct FakeJobs(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    handled: usize,
    sent: Vec<Sent>,
}

/// A mail that was sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Sent {
    pub(crate) purpose: pb::MailPurpose,
    pub(crate) language: String,
    pub(crate) to: String,
    mail: pb::IssuedMail,
}

impl Sent {
    /// Whom the mail greets.
    pub(crate) fn name(&self) -> &str {
        &self.mail.name
    }

    /// The link that the mail carries.
    pub(crate) fn link(&self) -> &str {
        &self.mail.link
    }

    /// The token in the link, which the mail shows as well.
    pub(crate) fn token(&self) -> String {
        let (link, token) = (&self.mail.link, &self.mail.token);
        assert!(
            !token.is_empty() && link.ends_with(&format!("?token={token}")),
            "{link}"
        );
        token.to_owned()
    }

    /// Until when the link counts, in seconds since the epoch.
    pub(crate) fn expires_at(&self) -> i64 {
        self.mail.expires_at.unwrap().seconds
    }
}

impl Auth {
    /// The requests for mails that were published, the oldest first, as their bytes.
    pub(crate) async fn published_requests(&self) -> Vec<Vec<u8>> {
        let sql = "select payload from outbox where kind = $1 order by seq";
        let kind = pb::MailRequested::KIND;
        match self.database() {
            Database::Postgres(database) => sqlx::query_scalar(sql).bind(kind).fetch_all(database.pool()).await,
            Database::Sqlite(database) => sqlx::query_scalar(sql).bind(kind).fetch_all(database.pool()).await,
        }
        .unwrap()
    }

    /// The requests for mails that were published, the oldest first.
    pub(crate) async fn requests(&self) -> Vec<pb::MailRequested> {
        let payloads = self.published_requests().await;
        let decode = |payload: Vec<u8>| pb::MailRequested::decode(payload.as_slice()).unwrap();
        payloads.into_iter().map(decode).collect()
    }

    /// What is in a requested mail now; `None` when there is nothing to send any more.
    pub(crate) async fn issue(&self, requested: &pb::MailRequested) -> Option<Sent> {
        let request = requested.request.clone().unwrap();
        let purpose = request.purpose();
        let call = self.as_service(pb::IssueMailRequest { request: Some(request) });
        let mail = self.mails().issue_mail(call).await.unwrap().into_inner().mail?;
        Some(Sent {
            purpose,
            language: requested.language.clone(),
            to: mail.to.clone(),
            mail,
        })
    }

    /// The mails to this address, the oldest first, of which there have to be `count` once every
    /// request is handled.
    pub(crate) async fn mails_to(&self, address: &str, count: usize) -> Vec<Sent> {
        let handled = self.jobs.0.lock().unwrap().handled;
        for request in self.requests().await.into_iter().skip(handled) {
            let sent = self.issue(&request).await;
            let mut state = self.jobs.0.lock().unwrap();
            state.handled += 1;
            state.sent.extend(sent);
        }
        let mut found = self.jobs.0.lock().unwrap().sent.clone();
        found.retain(|mail| mail.to.ends_with(address));
        assert_eq!(found.len(), count, "{found:?}");
        found
    }
}
