//! Todos: creation, updates, completion, deletion.

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use super::client::{Body, Completion};
use super::{Worker, text};
use crate::model::{Todo, TodoState};

/// How often a request with a key is sent.
const KEYED_TRIES: usize = 6;
/// The pause before a request is repeated.
const RETRY_PAUSE: Duration = Duration::from_millis(250);

impl Worker {
    pub(super) async fn create_todo(&mut self, user: usize) {
        let title = self.unique_name();
        let body = json!({"title": title, "description": "of the workload"});
        // With a key, a client repeats the request until it has an answer.
        let key = self.generator.percent(60).then(|| title.replace(' ', "-"));
        let tries = if key.is_some() { KEYED_TRIES } else { 1 };
        let mut state = TodoState::CreationUnknown;
        for _ in 0..tries {
            let token = self.users[user].access_token.clone();
            let sent = Body::Json(body.clone());
            let completion = self
                .client
                .invoke_keyed(&token, Method::POST, "/api/v1/todos", sent, key.as_deref())
                .await;
            match completion {
                Completion::Ok(todo) => {
                    state = TodoState::Known(todo);
                    break;
                }
                // The first request is still running.
                Completion::Fail(_, code) if code == "idempotency_key_in_use" => {}
                Completion::Fail(..) => return,
                Completion::Info => {}
            }
            tokio::time::sleep(RETRY_PAUSE).await;
        }
        self.users[user].todos.push(Todo {
            title,
            updates: 0,
            state,
        });
    }

    pub(super) async fn update_todo(&mut self, user: usize) {
        let Some((index, before)) = self.any_todo(user) else {
            return;
        };
        let title = self.unique_name();
        let body = json!({"title": title});
        let completion = self
            .invoke_as(user, Method::PATCH, &path(&before), Body::Json(body))
            .await;
        self.apply_update(user, index, before, title, completion);
    }

    /// Reads what was acknowledged, mostly through the other gateway than the one that took the
    /// write: it has to be there.
    pub(super) async fn read_todo(&mut self, user: usize) {
        let Some((_, known)) = self.any_todo(user) else {
            return;
        };
        if self.generator.percent(50) {
            let read = self.invoke_as(user, Method::GET, &path(&known), Body::Empty).await;
            self.compare(&known, read);
            return;
        }
        let path = "/api/v1/todos?items_per_page=100&sort=-created_at";
        let Completion::Ok(list) = self.invoke_as(user, Method::GET, path, Body::Empty).await else {
            return;
        };
        let listed = list["data"]
            .as_array()
            .and_then(|todos| todos.iter().find(|todo| todo["id"] == known["id"]));
        // A user rarely has more than one page; what is not on it is read by itself.
        if let Some(listed) = listed {
            self.compare(&known, Completion::Ok(listed.clone()));
        }
    }

    fn compare(&self, known: &Value, read: Completion) {
        match read {
            Completion::Ok(read) if ["title", "updated_at"].iter().all(|field| read[field] == known[field]) => {}
            Completion::Ok(read) => self
                .client
                .anomaly(format!("acknowledged was {known}, and read was {read}")),
            Completion::Fail(404, code) => self
                .client
                .anomaly(format!("the acknowledged todo {} was not found: {code}", known["id"])),
            Completion::Fail(..) | Completion::Info => {}
        }
    }

    pub(super) async fn complete_todo(&mut self, user: usize) {
        let Some((index, before)) = self.any_todo(user) else {
            return;
        };
        let path = format!("{}:complete", path(&before));
        let completion = self.invoke_as(user, Method::POST, &path, Body::Json(json!({}))).await;
        // After `info`, only the title is checked, which stays as it was.
        let title = text(&before["title"]);
        self.apply_update(user, index, before, title, completion);
    }

    pub(super) async fn delete_todo(&mut self, user: usize) {
        let Some((index, before)) = self.any_todo(user) else {
            return;
        };
        let completion = self.invoke_as(user, Method::DELETE, &path(&before), Body::Empty).await;
        let todo = &mut self.users[user].todos[index];
        todo.state = match completion {
            // The gateway retries a deletion without an answer, and the retry finds nothing to
            // delete.
            Completion::Ok(_) | Completion::Fail(404, _) => TodoState::Deleted(text(&before["id"])),
            Completion::Info => TodoState::DeletionUnknown(before),
            Completion::Fail(..) => return,
        };
    }

    /// One of a user's todos whose state is known.
    fn any_todo(&mut self, user: usize) -> Option<(usize, Value)> {
        let todos = self.users[user].todos.iter().enumerate();
        let known: Vec<(usize, &Value)> = todos
            .filter_map(|(index, todo)| match &todo.state {
                TodoState::Known(value) => Some((index, value)),
                _ => None,
            })
            .collect();
        if known.is_empty() {
            return None;
        }
        let (index, value) = known[self.generator.below(known.len())];
        Some((index, value.clone()))
    }

    /// Applies the completion of an update to the model of a todo.
    fn apply_update(&mut self, user: usize, index: usize, before: Value, title: String, completion: Completion) {
        let todo = &mut self.users[user].todos[index];
        match completion {
            Completion::Ok(after) => {
                // To complete a completed todo changes nothing.
                todo.updates += usize::from(after["updated_at"] != before["updated_at"]);
                todo.state = TodoState::Known(after);
            }
            Completion::Info => todo.state = TodoState::UpdateUnknown(before, title),
            Completion::Fail(404, code) => {
                let id = text(&before["id"]);
                self.client
                    .anomaly(format!("the acknowledged todo {id} was not found: {code}"));
            }
            Completion::Fail(..) => {}
        }
    }
}

fn path(todo: &Value) -> String {
    format!("/api/v1/todos/{}", text(&todo["id"]))
}
