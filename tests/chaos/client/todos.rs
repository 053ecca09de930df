//! People write todos.

use http::Method;
use serde_json::{Value, json};

use super::asking::{Answer, Body};
use super::{Client, text};
use crate::ledger::{State, Todo};

impl Client {
    pub(super) async fn write(&mut self, person: usize) {
        let title = self.name();
        let body = json!({"title": title, "description": "as it was asked for"});
        let state = match self
            .as_person(person, Method::POST, "/api/v1/todos", Body::Json(body))
            .await
        {
            Answer::Done(todo) => State::Known(todo),
            Answer::Refused(..) => return,
            Answer::Nothing => State::Asked,
        };
        self.people[person].todos.push(Todo { title, edits: 0, state });
    }

    pub(super) async fn edit(&mut self, person: usize) {
        let Some((index, before)) = self.any_todo(person) else {
            return;
        };
        let title = self.name();
        let body = json!({"title": title});
        let answer = self
            .as_person(person, Method::PATCH, &path(&before), Body::Json(body))
            .await;
        self.changed(person, index, before, title, answer);
    }

    pub(super) async fn complete(&mut self, person: usize) {
        let Some((index, before)) = self.any_todo(person) else {
            return;
        };
        let path = format!("{}:complete", path(&before));
        let answer = self.as_person(person, Method::POST, &path, Body::Json(json!({}))).await;
        // Whether it is complete is not looked at when no answer came; its title is what it was.
        let title = text(&before["title"]);
        self.changed(person, index, before, title, answer);
    }

    pub(super) async fn delete(&mut self, person: usize) {
        let Some((index, before)) = self.any_todo(person) else {
            return;
        };
        let answer = self
            .as_person(person, Method::DELETE, &path(&before), Body::Empty)
            .await;
        let todo = &mut self.people[person].todos[index];
        todo.state = match answer {
            // The gateway repeats a deletion whose answer it did not get, and then hears that there is nothing to delete.
            Answer::Done(_) | Answer::Refused(404, _) => State::Deleted(text(&before["id"])),
            Answer::Nothing => State::Leaving(before),
            Answer::Refused(..) => return,
        };
    }

    /// One of a person's todos that stand as they were answered.
    fn any_todo(&mut self, person: usize) -> Option<(usize, Value)> {
        let todos = self.people[person].todos.iter().enumerate();
        let known: Vec<(usize, &Value)> = todos
            .filter_map(|(index, todo)| match &todo.state {
                State::Known(value) => Some((index, value)),
                _ => None,
            })
            .collect();
        if known.is_empty() {
            return None;
        }
        let (index, value) = known[self.chance.below(known.len())];
        Some((index, value.clone()))
    }

    /// Notes what came of a change.
    fn changed(&mut self, person: usize, index: usize, before: Value, title: String, answer: Answer) {
        let todo = &mut self.people[person].todos[index];
        match answer {
            Answer::Done(after) => {
                // To complete what is complete already changes nothing.
                todo.edits += usize::from(after["updated_at"] != before["updated_at"]);
                todo.state = State::Known(after);
            }
            Answer::Nothing => todo.state = State::Edited(before, title),
            Answer::Refused(404, code) => {
                let id = text(&before["id"]);
                self.asking
                    .wrong(format!("the acknowledged todo {id} was not found: {code}"));
            }
            Answer::Refused(..) => {}
        }
    }
}

fn path(todo: &Value) -> String {
    format!("/api/v1/todos/{}", text(&todo["id"]))
}
