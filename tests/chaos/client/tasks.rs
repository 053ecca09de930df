//! People have work done for them that goes on after the answer.

use http::Method;
use serde_json::json;

use super::asking::{Answer, Body};
use super::{Client, text};
use crate::ledger::{State, Task, Todo, Work};

/// Attempts that an export may take, at the most: more than a run can spoil.
const ATTEMPTS: i32 = 20;
/// Todos in a file at the most.
const ROWS: usize = 4;

impl Client {
    pub(super) async fn export(&mut self, person: usize) {
        self.start(person, Work::Export).await;
    }

    pub(super) async fn import(&mut self, person: usize) {
        let rows = 1 + self.chance.below(ROWS);
        let titles: Vec<String> = (0..rows).map(|_| self.name()).collect();
        // They may come to be, whatever is answered.
        let todos = titles.iter().map(|title| Todo {
            title: title.clone(),
            edits: 0,
            state: State::Asked,
        });
        self.people[person].todos.extend(todos);
        self.start(person, Work::Import(titles)).await;
    }

    /// Asks for a task that was asked for before, under the same key: there is still one of it.
    pub(super) async fn ask_again(&mut self, person: usize) {
        let Some(index) = self.any_task(person, |task| task.key.is_some()) else {
            return;
        };
        self.ask_for(person, index).await;
    }

    pub(super) async fn cancel(&mut self, person: usize) {
        let Some(index) = self.any_task(person, |task| task.id.is_some()) else {
            return;
        };
        let path = format!("{}:cancel", self.task_path(person, index));
        let answer = self.as_person(person, Method::POST, &path, Body::Json(json!({}))).await;
        if let Answer::Done(_) | Answer::Nothing = answer {
            self.people[person].tasks[index].cancelled = true;
        }
        self.heard_of_task(person, index, answer);
    }

    pub(super) async fn look(&mut self, person: usize) {
        let Some(index) = self.any_task(person, |task| task.id.is_some()) else {
            return;
        };
        let path = self.task_path(person, index);
        let answer = self.as_person(person, Method::GET, &path, Body::Empty).await;
        self.heard_of_task(person, index, answer);
    }

    async fn start(&mut self, person: usize, work: Work) {
        let key = self.name().replace(' ', "-");
        let task = Task {
            work,
            key: self.chance.percent(60).then_some(key),
            id: None,
            cancelled: false,
            ended: None,
        };
        self.people[person].tasks.push(task);
        self.ask_for(person, self.people[person].tasks.len() - 1).await;
    }

    async fn ask_for(&mut self, person: usize, index: usize) {
        let task = &self.people[person].tasks[index];
        let key = task.key.as_deref().unwrap_or_default();
        let (path, body) = match &task.work {
            Work::Export => {
                let body = json!({
                    "export_todos": {"format": "FILE_FORMAT_JSON"},
                    "unique_key": key,
                    "max_attempts": ATTEMPTS,
                });
                ("/api/v1/tasks".to_owned(), Body::Json(body))
            }
            Work::Import(titles) => (
                format!("/api/v1/tasks:import?unique_key={key}"),
                Body::Csv(format!("title\n{}\n", titles.join("\n"))),
            ),
        };
        let answer = self.as_person(person, Method::POST, &path, body).await;
        self.heard_of_task(person, index, answer);
    }

    /// Notes what was answered about a task.
    fn heard_of_task(&mut self, person: usize, index: usize, answer: Answer) {
        let task = &mut self.people[person].tasks[index];
        let told = match answer {
            Answer::Done(told) => told,
            Answer::Refused(_, code) if code == "task_ended" => return,
            Answer::Refused(status, code) => {
                let told = format!("a task was refused: {status} {code}: {:?} {:?}", task.id, task.work);
                return self.asking.wrong(told);
            }
            Answer::Nothing => return,
        };
        let id = text(&told["id"]);
        if let Some(other) = task.id.replace(id.clone()).filter(|known| *known != id) {
            self.asking.wrong(format!("one key has two tasks, {other} and {id}"));
            return;
        }
        let status = text(&told["status"]);
        let over = !told["finished_at"].is_null();
        if let Some(ended) = task.ended.as_ref().filter(|ended| **ended != status) {
            let told = format!("task {id} had ended as {ended}, and is {status}");
            self.asking.wrong(told);
        } else if over {
            task.ended = Some(status);
        }
    }

    fn any_task(&mut self, person: usize, suits: impl Fn(&Task) -> bool) -> Option<usize> {
        let tasks = &self.people[person].tasks;
        let suiting: Vec<usize> = (0..tasks.len()).filter(|index| suits(&tasks[*index])).collect();
        if suiting.is_empty() {
            return None;
        }
        Some(suiting[self.chance.below(suiting.len())])
    }

    fn task_path(&self, person: usize, index: usize) -> String {
        let id = self.people[person].tasks[index].id.as_deref();
        format!("/api/v1/tasks/{}", id.unwrap_or_default())
    }
}
