//! Todos: creation, updates, completion, deletion.

use http::Method;
use serde_json::{Value, json};

use super::client::{Body, Completion};
use super::{Worker, text};
use crate::model::{Todo, TodoState};

impl Worker {
    pub(super) async fn create_todo(&mut self, user: usize) {
        let title = self.unique_name();
        let body = json!({"title": title, "description": "of the workload"});
        let state = match self
            .invoke_as(user, Method::POST, "/api/v1/todos", Body::Json(body))
            .await
        {
            Completion::Ok(todo) => TodoState::Known(todo),
            Completion::Fail(..) => return,
            Completion::Info => TodoState::CreationUnknown,
        };
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
