//! Tasks: exports and imports, their repetition, their cancellation; and webhooks.

use http::Method;
use serde_json::json;

use super::client::{Body, Completion};
use super::{Worker, text};
use crate::model::{Task, TaskKind, Todo, TodoState};

/// Attempts of an export at the most: more than the faults of a run can use up.
const MAX_ATTEMPTS: i32 = 20;
/// Todos in an imported file at the most.
const MAX_ROWS: usize = 4;

impl Worker {
    pub(super) async fn export(&mut self, user: usize) {
        self.create_task(user, TaskKind::Export).await;
    }

    pub(super) async fn import(&mut self, user: usize) {
        let rows = 1 + self.generator.below(MAX_ROWS);
        let titles: Vec<String> = (0..rows).map(|_| self.unique_name()).collect();
        // The todos may be created, however the request completes.
        let todos = titles.iter().map(|title| Todo {
            title: title.clone(),
            updates: 0,
            state: TodoState::CreationUnknown,
        });
        self.users[user].todos.extend(todos);
        self.create_task(user, TaskKind::Import(titles)).await;
    }

    /// Creates a task again, under the same unique key: the suite must return the same task.
    pub(super) async fn repeat_task(&mut self, user: usize) {
        let Some(index) = self.any_task(user, |task| task.unique_key.is_some()) else {
            return;
        };
        self.invoke_creation(user, index).await;
    }

    pub(super) async fn cancel_task(&mut self, user: usize) {
        let Some(index) = self.any_task(user, |task| task.id.is_some()) else {
            return;
        };
        let path = format!("{}:cancel", self.task_path(user, index));
        let completion = self.invoke_as(user, Method::POST, &path, Body::Json(json!({}))).await;
        if let Completion::Ok(_) | Completion::Info = completion {
            self.users[user].tasks[index].cancelled = true;
        }
        self.apply_task(user, index, completion);
    }

    pub(super) async fn read_task(&mut self, user: usize) {
        let Some(index) = self.any_task(user, |task| task.id.is_some()) else {
            return;
        };
        let path = self.task_path(user, index);
        let completion = self.invoke_as(user, Method::GET, &path, Body::Empty).await;
        self.apply_task(user, index, completion);
    }

    /// Creates the user's webhook, once, and then looks whether it is active.
    pub(super) async fn create_webhook(&mut self, user: usize) {
        if self.users[user].hooked_since.is_some() {
            return;
        }
        if let Some(hook) = self.users[user].hook.clone() {
            let path = format!("/api/v1/webhooks/{hook}");
            let found = self.invoke_as(user, Method::GET, &path, Body::Empty).await;
            if matches!(&found, Completion::Ok(hook) if hook["status"] == "WEBHOOK_STATUS_ACTIVE") {
                self.users[user].hooked_since = Some(self.users[user].todos.len());
            }
            return;
        }
        let body = json!({"url": self.hook, "events": ["todos.todo.created"]});
        let created = self
            .invoke_as(user, Method::POST, "/api/v1/webhooks", Body::Json(body))
            .await;
        match created {
            // What happens before its target has answered the challenge is not delivered.
            Completion::Ok(hook) => self.users[user].hook = Some(text(&hook["id"])),
            // A user has so many webhooks at the most; some were made without an answer.
            Completion::Fail(..) | Completion::Info => {}
        }
    }

    async fn create_task(&mut self, user: usize, kind: TaskKind) {
        let key = self.unique_name().replace(' ', "-");
        let task = Task {
            kind,
            unique_key: self.generator.percent(60).then_some(key),
            id: None,
            cancelled: false,
            final_status: None,
        };
        self.users[user].tasks.push(task);
        self.invoke_creation(user, self.users[user].tasks.len() - 1).await;
    }

    async fn invoke_creation(&mut self, user: usize, index: usize) {
        let task = &self.users[user].tasks[index];
        let key = task.unique_key.as_deref().unwrap_or_default();
        let (path, body) = match &task.kind {
            TaskKind::Export => {
                let body = json!({
                    "export_todos": {"format": "FILE_FORMAT_JSON"},
                    "unique_key": key,
                    "max_attempts": MAX_ATTEMPTS,
                });
                ("/api/v1/tasks".to_owned(), Body::Json(body))
            }
            TaskKind::Import(titles) => (
                format!("/api/v1/tasks:import?unique_key={key}"),
                Body::Csv(format!("title\n{}\n", titles.join("\n"))),
            ),
        };
        let completion = self.invoke_as(user, Method::POST, &path, body).await;
        self.apply_task(user, index, completion);
    }

    /// Applies a completion to the model of a task.
    fn apply_task(&mut self, user: usize, index: usize, completion: Completion) {
        let task = &mut self.users[user].tasks[index];
        let returned = match completion {
            Completion::Ok(returned) => returned,
            Completion::Fail(_, code) if code == "task_ended" => return,
            Completion::Fail(status, code) => {
                let anomaly = format!("a task was refused: {status} {code}: {:?} {:?}", task.id, task.kind);
                return self.client.anomaly(anomaly);
            }
            Completion::Info => return,
        };
        let id = text(&returned["id"]);
        if let Some(other) = task.id.replace(id.clone()).filter(|known| *known != id) {
            self.client
                .anomaly(format!("one unique key has two tasks, {other} and {id}"));
            return;
        }
        let status = text(&returned["status"]);
        let finished = !returned["finished_at"].is_null();
        if let Some(before) = task.final_status.as_ref().filter(|before| **before != status) {
            let anomaly = format!("task {id} finished as {before}, and is {status}");
            self.client.anomaly(anomaly);
        } else if finished {
            task.final_status = Some(status);
        }
    }

    fn any_task(&mut self, user: usize, matches: impl Fn(&Task) -> bool) -> Option<usize> {
        let tasks = &self.users[user].tasks;
        let matching: Vec<usize> = (0..tasks.len()).filter(|index| matches(&tasks[*index])).collect();
        if matching.is_empty() {
            return None;
        }
        Some(matching[self.generator.below(matching.len())])
    }

    fn task_path(&self, user: usize, index: usize) -> String {
        let id = self.users[user].tasks[index].id.as_deref();
        format!("/api/v1/tasks/{}", id.unwrap_or_default())
    }
}
