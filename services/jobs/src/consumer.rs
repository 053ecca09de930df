//! The event handler: what events of other services change here. Todos that change go to webhooks,
//! accounts that are opened are welcomed, webhooks of those whose password was reset are paused, mails
//! that auth requests are sent, and what users have is deleted with them.

use std::sync::Arc;

use async_trait::async_trait;
use prost::Message as _;
use quartet_clock::Clock;
use quartet_messaging::{Failure, Message};
use quartet_proto::auth::v1::{AccountRegistered, MailRequested, PasswordReset};
use quartet_proto::events::Event;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::send_email::Template;
use quartet_proto::todos::v1::{TodoCompleted, TodoCreated, TodoDeleted, TodoUpdated};
use quartet_proto::users::v1::UserPurged;
use quartet_rpc::timestamp;
use quartet_store::Context;
use serde_json::{Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::domain::{Delivery, EventType, Kind, Lane, NewJob, Queue, SUITE, UniqueKey};
use crate::store::{Reaction, Store};

/// The name of this service in the contracts and in its inbox.
pub const CONSUMER: &str = "jobs";

/// Reacts to events of other services.
pub struct Consumer {
    /// Where jobs are.
    pub store: Arc<dyn Store>,
    /// Time, ids and randomness.
    pub clock: Clock,
    /// The language of a welcome where the account has none; nobody is welcomed when it is not set.
    pub welcome: Option<String>,
    /// Deliveries to one host at once.
    pub per_host: u32,
}

#[async_trait]
impl quartet_messaging::Consumer for Consumer {
    async fn consume(&self, messages: &[&Message], cx: &Context) -> Result<(), Failure> {
        let mut reactions = Vec::with_capacity(messages.len());
        for message in messages {
            if let Some(reaction) = self.reaction(message, cx.now)? {
                reactions.push((*message, reaction));
            }
        }
        Ok(self.store.react(CONSUMER, &reactions, cx).await?)
    }
}

impl Consumer {
    /// What a message changes; `None` when that is nothing.
    fn reaction(&self, message: &Message, now: OffsetDateTime) -> Result<Option<Reaction>, Failure> {
        Ok(match message.kind.as_str() {
            AccountRegistered::KIND => self.welcome(decode(message)?, now).map(Reaction::Insert),
            MailRequested::KIND => Some(Reaction::Insert(self.mail(decode(message)?, now)?)),
            PasswordReset::KIND => Some(self.pause(decode(message)?, now)?),
            UserPurged::KIND => {
                let owner = message
                    .subject
                    .parse()
                    .map_err(|_| Failure::Permanent(format!("`{}` is no user", message.subject)))?;
                Some(Reaction::DeleteAll(owner))
            }
            _ => delivery(message, self.per_host)?.map(Reaction::Deliver),
        })
    }

    /// The one job that sends a mail of the auth service.
    fn mail(&self, requested: MailRequested, now: OffsetDateTime) -> Result<NewJob, Failure> {
        let no_request = || Failure::Permanent("the mail has no request".to_owned());
        let request = requested.request.ok_or_else(no_request)?;
        let key = UniqueKey::of("mail", &request.id);
        let mail = pb::SendEmail {
            to: request.email.clone(),
            language: requested.language,
            template: Some(Template::Requested(pb::RequestedMail { request: Some(request) })),
        };
        let lane = Lane::of_recipient(&mail.to);
        let job = NewJob::new(self.clock.new_id(), SUITE, Kind::SendEmail, mail.encode_to_vec(), now);
        // Somebody waits for it.
        Ok(job.in_queue(Queue::High).in_lane(lane).once(key))
    }

    /// Switches the webhooks of an account off whose password was reset: whoever had it before may have
    /// made them.
    fn pause(&self, reset: PasswordReset, now: OffsetDateTime) -> Result<Reaction, Failure> {
        let owner = Uuid::parse_str(&reset.account_id)
            .map_err(|_| Failure::Permanent(format!("`{}` is no account", reset.account_id)))?;
        let mail = pb::SendEmail {
            to: reset.email,
            language: reset.language,
            template: Some(Template::WebhooksPaused(pb::WebhooksPausedMail { name: String::new() })),
        };
        let lane = Lane::of_recipient(&mail.to);
        let job = NewJob::new(self.clock.new_id(), SUITE, Kind::SendEmail, mail.encode_to_vec(), now).in_lane(lane);
        Ok(Reaction::PauseWebhooks(owner, job))
    }

    fn welcome(&self, account: AccountRegistered, now: OffsetDateTime) -> Option<NewJob> {
        let fallback = self.welcome.as_ref().filter(|_| !account.email_claimed)?;
        let mail = pb::SendEmail {
            to: account.email,
            language: or(account.language, fallback),
            // Nobody has proven the address, so the mail carries no word of whoever registered it.
            template: Some(Template::Welcome(pb::WelcomeMail { name: String::new() })),
        };
        let lane = Lane::of_recipient(&mail.to);
        let job = NewJob::new(self.clock.new_id(), SUITE, Kind::SendEmail, mail.encode_to_vec(), now).in_lane(lane);
        Some(job.once(UniqueKey::of("welcome", account.account_id)))
    }
}

/// What webhooks receive of an event of todos; `None` when it belongs to no user.
///
/// Errors: permanent when the message is another event, or does not decode.
fn delivery(message: &Message, per_host: u32) -> Result<Option<Delivery>, Failure> {
    let text = |timestamp: Option<prost_types::Timestamp>| {
        let time = timestamp::parse(timestamp.as_ref()).ok().flatten()?;
        time.format(&Rfc3339).ok()
    };
    /// The three events that carry the same fields of a todo.
    macro_rules! of_todo {
        ($type:ty, $event:expr) => {{
            let todo: $type = decode(message)?;
            let data = json!({
                "todo_id": todo.todo_id,
                "user_id": todo.user_id,
                "title": todo.title,
                "due_at": text(todo.due_at),
                "completed_at": text(todo.completed_at),
            });
            ($event, todo.user_id, data)
        }};
    }
    let (event, owner, data): (EventType, String, Value) = match message.kind.as_str() {
        TodoCreated::KIND => of_todo!(TodoCreated, EventType::TodoCreated),
        TodoUpdated::KIND => of_todo!(TodoUpdated, EventType::TodoUpdated),
        TodoCompleted::KIND => of_todo!(TodoCompleted, EventType::TodoCompleted),
        TodoDeleted::KIND => {
            let todo: TodoDeleted = decode(message)?;
            let data = json!({"todo_id": todo.todo_id, "user_id": todo.user_id});
            (EventType::TodoDeleted, todo.user_id, data)
        }
        kind => return Err(Failure::Permanent(format!("this service does not consume {kind}"))),
    };
    let Ok(owner) = Uuid::parse_str(&owner) else {
        return Ok(None);
    };
    let body = json!({
        "type": event.name(),
        "timestamp": message.time.format(&Rfc3339).unwrap_or_default(),
        "data": data,
    });
    Ok(Some(Delivery {
        owner,
        event,
        body: body.to_string(),
        per_host,
    }))
}

fn decode<P: prost::Message + Default>(message: &Message) -> Result<P, Failure> {
    message.decode().map_err(|error| Failure::Permanent(error.to_string()))
}

/// The text, or another one where it is empty.
fn or(text: String, fallback: &str) -> String {
    match text.is_empty() {
        true => fallback.to_owned(),
        false => text,
    }
}
