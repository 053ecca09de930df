//! One client of the steady load: a handful of people who register, sign in, write todos and leave. It asks one thing at a time, and notes every answer.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use quartet_tests::Rest;
use quartet_tests::app::unique;
use serde_json::{Value, json};

use crate::chance::Chance;
use crate::ledger::{Departure, Person, State, Todo};
use crate::tally::Tally;

/// The password of everybody.
pub const PASSWORD: &str = "correct horse battery";
/// How long an answer is waited for: longer than the suite may take over a request.
pub const PATIENCE: Duration = Duration::from_secs(8);
/// Sessions of one person at the most.
const SESSIONS: usize = 3;

/// One client.
pub struct Client {
    rest: Rest,
    chance: Chance,
    tally: Arc<Tally>,
    people: Vec<Person>,
    serial: usize,
    /// Whether the last request came to nothing.
    unheard: bool,
}

/// What came of a request.
enum Answer {
    Done(Value),
    Refused(u16, String),
    Nothing,
}

#[derive(Clone, Copy)]
enum Wish {
    Register,
    Login,
    Refresh,
    Write,
    Edit,
    Complete,
    Delete,
    Leave,
}

const WISHES: [(Wish, usize); 8] = [
    (Wish::Register, 10),
    (Wish::Login, 5),
    (Wish::Refresh, 8),
    (Wish::Write, 46),
    (Wish::Edit, 14),
    (Wish::Complete, 6),
    (Wish::Delete, 8),
    (Wish::Leave, 3),
];

impl Client {
    /// A client whose choices `seed` decides.
    pub fn new(rest: Rest, seed: u64, tally: Arc<Tally>) -> Self {
        Self {
            rest,
            chance: Chance::new(seed),
            tally,
            people: Vec::new(),
            serial: 0,
            unheard: false,
        }
    }

    /// Works until `stopped` says so; what was asked and answered.
    pub async fn run(mut self, stopped: impl Fn() -> bool) -> Vec<Person> {
        while !stopped() {
            let wish = self.chance.weighted(&WISHES);
            let staying: Vec<usize> = (0..self.people.len())
                .filter(|&index| {
                    let person = &self.people[index];
                    person.id.is_some() && person.departure == Departure::Stays
                })
                .collect();
            if staying.is_empty() || matches!(wish, Wish::Register) {
                self.register().await;
            } else {
                let person = staying[self.chance.below(staying.len())];
                self.fulfil(wish, person).await;
            }
            // What is away is not asked as fast as what is there.
            let pause = self.chance.span(20, 90) * if self.unheard { 5 } else { 1 };
            tokio::time::sleep(pause).await;
        }
        self.people
    }

    async fn fulfil(&mut self, wish: Wish, person: usize) {
        match wish {
            Wish::Register => self.register().await,
            Wish::Login => self.login(person).await,
            Wish::Refresh => self.refresh(person).await,
            Wish::Write => self.write(person).await,
            Wish::Edit | Wish::Complete | Wish::Delete => self.change(wish, person).await,
            Wish::Leave => self.leave(person).await,
        }
    }

    async fn register(&mut self) {
        let username = unique("c");
        let body = json!({"name": "A Client", "username": username, "email": format!("{username}@example.org"), "password": PASSWORD});
        let mut person = Person {
            username,
            id: None,
            access: String::new(),
            sessions: Vec::new(),
            todos: Vec::new(),
            departure: Departure::Stays,
        };
        match self.ask(None, Method::POST, "/api/v1/auth/register", Some(body)).await {
            Answer::Done(registered) => {
                person.id = Some(text(&registered["user"]["id"]));
                person.access = text(&registered["access_token"]);
                person.sessions.push(text(&registered["refresh_token"]));
            }
            Answer::Refused(status, code) => self.wrong(format!("a registration was refused: {status} {code}")),
            Answer::Nothing => {}
        }
        self.people.push(person);
    }

    async fn login(&mut self, person: usize) {
        let body = json!({"username_or_email": self.people[person].username, "password": PASSWORD});
        match self.ask(None, Method::POST, "/api/v1/auth/login", Some(body)).await {
            Answer::Done(tokens) => {
                let person = &mut self.people[person];
                person.access = text(&tokens["access_token"]);
                person.sessions.insert(0, text(&tokens["refresh_token"]));
                person.sessions.truncate(SESSIONS);
            }
            Answer::Refused(status, code) => self.wrong(format!("a login was refused: {status} {code}")),
            Answer::Nothing => {}
        }
    }

    async fn refresh(&mut self, person: usize) {
        let session = self.chance.below(self.people[person].sessions.len());
        let body = json!({"refresh_token": self.people[person].sessions[session]});
        match self.ask(None, Method::POST, "/api/v1/auth/refresh", Some(body)).await {
            Answer::Done(tokens) => {
                let person = &mut self.people[person];
                person.access = text(&tokens["access_token"]);
                person.sessions[session] = text(&tokens["refresh_token"]);
            }
            Answer::Refused(status, code) => self.wrong(format!("a refresh token was refused: {status} {code}")),
            // The token is good for another try: its successor is the same.
            Answer::Nothing => {}
        }
    }

    async fn write(&mut self, person: usize) {
        let title = self.title();
        let body = json!({"title": title, "description": "as it was asked for"});
        let access = self.people[person].access.clone();
        let state = match self.ask(Some(&access), Method::POST, "/api/v1/todos", Some(body)).await {
            Answer::Done(todo) => State::Known(todo),
            Answer::Refused(..) => return,
            Answer::Nothing => State::Asked,
        };
        self.people[person].todos.push(Todo { title, edits: 0, state });
    }

    async fn change(&mut self, wish: Wish, person: usize) {
        let todos = &self.people[person].todos;
        let known = |todo: &Todo| match &todo.state {
            State::Known(value) => Some(value.clone()),
            _ => None,
        };
        let known: Vec<(usize, Value)> = (0..todos.len())
            .filter_map(|index| Some((index, known(&todos[index])?)))
            .collect();
        if known.is_empty() {
            return;
        }
        let (index, before) = known[self.chance.below(known.len())].clone();
        let access = self.people[person].access.clone();
        let path = format!("/api/v1/todos/{}", text(&before["id"]));
        let title = self.title();
        let answer = match wish {
            Wish::Edit => {
                self.ask(Some(&access), Method::PATCH, &path, Some(json!({"title": title})))
                    .await
            }
            Wish::Complete => {
                let path = format!("{path}:complete");
                self.ask(Some(&access), Method::POST, &path, Some(json!({}))).await
            }
            _ => self.ask(Some(&access), Method::DELETE, &path, None).await,
        };
        let id = text(&before["id"]);
        let todo = &mut self.people[person].todos[index];
        match (wish, answer) {
            // The gateway repeats a deletion whose answer it did not get, and then hears that there is nothing to delete.
            (Wish::Delete, Answer::Done(_) | Answer::Refused(404, _)) => todo.state = State::Deleted(id),
            (Wish::Delete, Answer::Nothing) => todo.state = State::Leaving(before),
            (_, Answer::Done(after)) => {
                todo.edits += 1;
                todo.state = State::Known(after);
            }
            (Wish::Edit, Answer::Nothing) => todo.state = State::Edited(before, title),
            // Whether it is complete is not looked at; its title is what it was.
            (_, Answer::Nothing) => {
                let title = text(&before["title"]);
                todo.state = State::Edited(before, title);
            }
            (_, Answer::Refused(404, code)) => {
                self.wrong(format!("the acknowledged todo {id} was not found: {code}"));
            }
            (_, Answer::Refused(..)) => {}
        }
    }

    async fn leave(&mut self, person: usize) {
        let (access, id) = (self.people[person].access.clone(), self.people[person].id.clone());
        let path = format!("/api/v1/users/{}", id.unwrap_or_default());
        let departure = match self.ask(Some(&access), Method::DELETE, &path, None).await {
            Answer::Done(_) => Departure::Gone,
            Answer::Refused(..) | Answer::Nothing => Departure::Unsure,
        };
        self.people[person].departure = departure;
    }

    /// A title that no other todo has.
    fn title(&mut self) -> String {
        self.serial += 1;
        unique(&format!("{} ", self.serial))
    }

    async fn ask(&mut self, token: Option<&str>, method: Method, path: &str, body: Option<Value>) -> Answer {
        let rest = match token {
            Some(token) => self.rest.bearing(token),
            None => self.rest.clone(),
        };
        let act = format!("{method} {}", path.split('/').nth(3).unwrap_or_default());
        let call = rest.call(method, path);
        let call = match &body {
            Some(body) => call.json(body),
            None => call,
        };
        let reply = tokio::time::timeout(PATIENCE, call.try_send()).await;
        self.tally.count(|counts| counts.requests += 1);
        let reply = reply.ok().and_then(Result::ok).filter(|reply| reply.status < 500);
        self.unheard = reply.is_none();
        let Some(reply) = reply else {
            self.tally.count(|counts| counts.unanswered += 1);
            return Answer::Nothing;
        };
        match reply.status {
            200..300 => {
                self.tally.count(|counts| counts.acknowledged += 1);
                Answer::Done(reply.json())
            }
            status @ 400..500 => {
                let code = text(&reply.json()["error_code"]);
                let told = format!("{act}: {status} {code}");
                self.tally.count(|counts| *counts.refused.entry(told).or_default() += 1);
                Answer::Refused(status, code)
            }
            status => panic!("the suite answers {act} with {status}"),
        }
    }

    fn wrong(&self, told: String) {
        self.tally.count(|counts| counts.wrong.push(told));
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
