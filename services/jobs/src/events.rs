//! What this service hears: todos that change, for webhooks; accounts that are opened, for a welcome; users who are gone, whose jobs go with them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prost::Message as _;
use quartet_clock::Clock;
use quartet_kernel::Deadline;
use quartet_messaging::{Handler, Message, Outcome};
use quartet_proto::auth::v1::AccountRegistered;
use quartet_proto::events::Event;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::send_email::Template;
use quartet_proto::todos::v1::{TodoCompleted, TodoCreated, TodoDeleted, TodoUpdated};
use quartet_proto::users::v1::UserPurged;
use quartet_rpc::timestamp;
use serde_json::{Value, json};
use time::format_description::well_known::Rfc3339;
use uuid::Uuid;

use crate::Error;
use crate::domain::{EventType, Kind, NewJob, SUITE, UniqueKey};
use crate::store::Store;

/// The name of this service in the contracts and in its inbox.
pub const CONSUMER: &str = "jobs";
/// Bound on one effect.
const BOUND: Duration = Duration::from_secs(20);

/// Does what messages ask of jobs.
pub struct Hearing {
    /// Where jobs are.
    pub store: Arc<dyn Store>,
    /// Time, ids and randomness.
    pub clock: Clock,
    /// The language in which those are welcomed who do not say theirs; nobody is welcomed when there is none.
    pub welcome: Option<String>,
}

/// What an event of todos says, as a webhook tells it.
struct News {
    event: EventType,
    owner: String,
    data: Value,
}

#[async_trait]
impl Handler for Hearing {
    async fn handle(&self, message: &Message) -> Outcome {
        match message.kind.as_str() {
            AccountRegistered::KIND => match message.decode() {
                Ok(account) => self.welcome(message, account).await.into(),
                Err(error) => Outcome::dead(error),
            },
            UserPurged::KIND => match message.subject.parse() {
                Ok(owner) => self.forget(message, owner).await.into(),
                Err(_) => Outcome::dead(format!("`{}` is no user", message.subject)),
            },
            _ => match news(message) {
                Ok(Some(news)) => self.tell(message, news).await.into(),
                Ok(None) => Outcome::dead("this service does not take this kind"),
                Err(error) => Outcome::dead(error),
            },
        }
    }
}

impl Hearing {
    async fn welcome(&self, message: &Message, account: AccountRegistered) -> Result<(), Error> {
        let now = self.clock.now();
        let jobs = self.welcome.as_ref().map(|otherwise| {
            let language = if account.language.is_empty() {
                otherwise.clone()
            } else {
                account.language
            };
            let name = if account.name.is_empty() {
                account.username
            } else {
                account.name
            };
            let mail = pb::SendEmail {
                to: account.email,
                language,
                template: Some(Template::Welcome(pb::WelcomeMail { name })),
            };
            NewJob::new(self.clock.new_id(), SUITE, Kind::SendEmail, mail.encode_to_vec(), now)
                .once(UniqueKey::of("welcome", account.account_id))
        });
        self.store
            .insert_jobs_for(CONSUMER, message, jobs.as_slice(), now, Deadline::after(BOUND))
            .await
    }

    async fn forget(&self, message: &Message, owner: Uuid) -> Result<(), Error> {
        self.store
            .forget_owner(CONSUMER, message, owner, self.clock.now(), Deadline::after(BOUND))
            .await
    }

    /// One delivery for each webhook of the owner that hears of the event.
    async fn tell(&self, message: &Message, news: News) -> Result<(), Error> {
        let Ok(owner) = news.owner.parse() else {
            return Ok(());
        };
        let (now, deadline) = (self.clock.now(), Deadline::after(BOUND));
        let webhooks = self.store.webhooks_for(owner, news.event, deadline).await?;
        if webhooks.is_empty() {
            return Ok(());
        }
        let body = json!({
            "type": news.event.name(),
            "timestamp": message.time.format(&Rfc3339).unwrap_or_default(),
            "data": news.data,
        })
        .to_string();
        let delivery = |webhook: Uuid| {
            let payload = pb::DeliverWebhook {
                webhook_id: webhook.to_string(),
                event_id: format!("msg_{}", message.id.simple()),
                event_type: news.event.name().to_owned(),
                body: body.clone(),
            };
            NewJob::new(self.clock.new_id(), owner, Kind::Webhook, payload.encode_to_vec(), now)
                .once(UniqueKey::of("webhook", format_args!("{webhook}:{}", message.id)))
        };
        let jobs: Vec<NewJob> = webhooks.into_iter().map(delivery).collect();
        self.store
            .insert_jobs_for(CONSUMER, message, &jobs, now, deadline)
            .await
    }
}

/// What a message says of a todo; `None` when it is of something else.
fn news(message: &Message) -> Result<Option<News>, prost::DecodeError> {
    let text = |timestamp: Option<prost_types::Timestamp>| {
        let moment = timestamp::parse(timestamp.as_ref()).ok().flatten()?;
        moment.format(&Rfc3339).ok()
    };
    /// The three events that say the same of a todo.
    macro_rules! of_todo {
        ($type:ty, $event:expr) => {{
            let todo: $type = message.decode()?;
            let data = json!({
                "todo_id": todo.todo_id,
                "user_id": todo.user_id,
                "title": todo.title,
                "due_at": text(todo.due_at),
                "completed_at": text(todo.completed_at),
            });
            News { event: $event, owner: todo.user_id, data }
        }};
    }
    Ok(Some(match message.kind.as_str() {
        TodoCreated::KIND => of_todo!(TodoCreated, EventType::TodoCreated),
        TodoUpdated::KIND => of_todo!(TodoUpdated, EventType::TodoUpdated),
        TodoCompleted::KIND => of_todo!(TodoCompleted, EventType::TodoCompleted),
        TodoDeleted::KIND => {
            let todo: TodoDeleted = message.decode()?;
            let data = json!({"todo_id": todo.todo_id, "user_id": todo.user_id});
            News {
                event: EventType::TodoDeleted,
                owner: todo.user_id,
                data,
            }
        }
        _ => return Ok(None),
    }))
}
