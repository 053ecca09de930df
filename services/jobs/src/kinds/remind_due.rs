//! Makes one reminder per todo and due date, for todos that are due soon.
//!
//! Once: the mail is a job whose key is the todo and its date, kept until the date has passed. A
//! todo that is put off gets another reminder.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use prost::Message;
use quartet_proto::auth::v1 as auth;
use quartet_proto::auth::v1::contact_service_client::ContactServiceClient;
use quartet_proto::jobs::v1 as pb;
use quartet_proto::jobs::v1::send_email::Template;
use quartet_proto::todos::v1 as todos;
use quartet_proto::todos::v1::transfer_service_client::TransferServiceClient;
use quartet_rpc::timestamp;
use tonic::Code;

use super::Dependencies;
use crate::domain::{Kind, NewJob, SUITE, UniqueKey};
use crate::workers::{Done, JobContext, JobError, JobHandler};

pub(super) struct RemindDue(pub(super) Arc<Dependencies>);

#[async_trait]
impl JobHandler for RemindDue {
    fn timeout(&self) -> Duration {
        Duration::from_secs(600)
    }

    async fn run(&self, context: &JobContext) -> Result<Done, JobError> {
        let payload: pb::RemindDue = context.payload()?;
        let within = payload.within_seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let within = within.map_or(self.0.remind_within, Duration::from_secs);
        let now = context.clock.now();
        let (after, before) = (timestamp::to_proto(now), timestamp::to_proto(now + within));
        let mut client = TransferServiceClient::new(self.0.todos.upstream());
        let mut contacts = HashMap::new();
        let mut mails = 0;
        let mut page_token = String::new();
        loop {
            let request = todos::ListDueTodosRequest {
                due_after: Some(after),
                due_before: Some(before),
                page_size: Some(100),
                page_token,
            };
            let page = client
                .list_due_todos(context.request(&self.0.todos, request)?)
                .await?
                .into_inner();
            for todo in page.data {
                if !contacts.contains_key(&todo.user_id) {
                    let contact = self.contact(context, &todo.user_id).await?;
                    contacts.insert(todo.user_id.clone(), contact);
                }
                if let Some(Some(contact)) = contacts.get(&todo.user_id) {
                    mails += i32::from(self.remind(context, &todo, contact).await?);
                }
            }
            context.progress(50, format!("{mails} reminders")).await?;
            page_token = page.next_page_token;
            if page_token.is_empty() {
                return Ok(Done::with(&pb::RemindDueResult { mails }));
            }
        }
    }
}

impl RemindDue {
    /// Where the owner gets mail; nowhere, if the account is gone or closed, or nobody has proven
    /// the address.
    async fn contact(&self, context: &JobContext, user_id: &str) -> Result<Option<auth::Contact>, JobError> {
        let request = auth::GetContactRequest {
            account_id: user_id.to_owned(),
        };
        let mut client = ContactServiceClient::new(self.0.auth.upstream());
        match client.get_contact(context.request(&self.0.auth, request)?).await {
            Ok(contact) => Ok(Some(contact.into_inner()).filter(|contact| contact.active && contact.email_verified)),
            Err(status) if status.code() == Code::NotFound => Ok(None),
            Err(status) => Err(status.into()),
        }
    }

    /// Makes the mail; whether there was none.
    async fn remind(
        &self,
        context: &JobContext,
        todo: &todos::DueTodo,
        contact: &auth::Contact,
    ) -> Result<bool, JobError> {
        let Ok(Some(due_at)) = timestamp::parse(todo.due_at.as_ref()) else {
            return Ok(false);
        };
        let mail = pb::SendEmail {
            to: contact.email.clone(),
            language: self.0.mail_language.clone(),
            template: Some(Template::Reminder(pb::ReminderMail {
                name: contact.name.clone(),
                title: todo.title.clone(),
                due_at: todo.due_at,
            })),
        };
        let now = context.clock.now();
        let key = UniqueKey::of(
            "remind",
            format_args!("{}:{}", todo.todo_id, due_at.unix_timestamp_nanos() / 1_000),
        );
        // The key must be remembered as long as the todo can be listed.
        let kept = (due_at - now) + time::Duration::days(1);
        let job = NewJob::new(
            context.clock.new_id(),
            SUITE,
            Kind::SendEmail,
            mail.encode_to_vec(),
            now,
        )
        .once(key)
        .kept_for(kept);
        match self.0.store.insert_job(&job, &context.cx()).await {
            Ok((_, made)) => Ok(made),
            // The title or the address has changed since the mail was made.
            Err(crate::Error::TaskKeyReused { .. }) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}
