//! One client of the steady load: a handful of people who register, sign in, write todos, have work done
//! and leave. It asks one thing at a time, and notes every answer.

mod accounts;
mod asking;
mod tasks;
mod todos;

use std::sync::Arc;

use http::Method;
use quartet_tests::Rest;
use quartet_tests::app::unique;
use serde_json::Value;

use crate::chance::Chance;
use crate::ledger::{Departure, Person};
use crate::tally::Tally;
use asking::{Answer, Asking, Body};

pub use accounts::PASSWORD;
pub use asking::PATIENCE;

/// One client.
pub struct Client {
    /// Address of the suite.
    address: String,
    asking: Asking,
    chance: Chance,
    people: Vec<Person>,
    serial: usize,
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
    Export,
    Import,
    AskAgain,
    Cancel,
    Look,
    Leave,
}

const WISHES: [(Wish, usize); 13] = [
    (Wish::Register, 10),
    (Wish::Login, 5),
    (Wish::Refresh, 6),
    (Wish::Write, 40),
    (Wish::Edit, 13),
    (Wish::Complete, 6),
    (Wish::Delete, 7),
    (Wish::Export, 8),
    (Wish::Import, 5),
    (Wish::AskAgain, 5),
    (Wish::Cancel, 2),
    (Wish::Look, 4),
    (Wish::Leave, 3),
];

impl Client {
    /// A client whose choices `seed` decides.
    pub fn new(address: &str, seed: u64, tally: Arc<Tally>) -> Self {
        Self {
            address: address.to_owned(),
            asking: Asking::new(Rest::new(address), tally),
            chance: Chance::new(seed),
            people: Vec::new(),
            serial: 0,
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
            let pause = self.chance.span(20, 90) * if self.asking.unheard { 5 } else { 1 };
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
            Wish::Edit => self.edit(person).await,
            Wish::Complete => self.complete(person).await,
            Wish::Delete => self.delete(person).await,
            Wish::Export => self.export(person).await,
            Wish::Import => self.import(person).await,
            Wish::AskAgain => self.ask_again(person).await,
            Wish::Cancel => self.cancel(person).await,
            Wish::Look => self.look(person).await,
            Wish::Leave => self.leave(person).await,
        }
    }

    async fn post(&mut self, token: &str, path: &str, body: Value) -> Answer {
        self.asking.ask(token, Method::POST, path, Body::Json(body)).await
    }

    async fn as_person(&mut self, person: usize, method: Method, path: &str, body: Body) -> Answer {
        let access = &self.people[person].access;
        self.asking.ask(access, method, path, body).await
    }

    /// A name that nothing else has.
    fn name(&mut self) -> String {
        self.serial += 1;
        unique(&format!("{} ", self.serial))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
