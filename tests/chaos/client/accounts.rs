//! People come, sign in, and go.

use http::Method;
use quartet_tests::app::unique;
use serde_json::json;

use super::asking::{Answer, Body};
use super::{Client, text};
use crate::follower::Follower;
use crate::ledger::{Departure, Person};

/// The password of everybody.
pub const PASSWORD: &str = "correct horse battery";
/// Sessions of one person at the most.
const SESSIONS: usize = 3;
/// People of one client whose feed somebody follows, at the most.
const FOLLOWED: usize = 4;

impl Client {
    pub(super) async fn register(&mut self) {
        let username = unique("c");
        let body = json!({"name": "A Client", "username": username, "email": format!("{username}@example.org"), "password": PASSWORD});
        let mut person = Person::asked(username);
        match self.post("", "/api/v1/auth/register", body).await {
            Answer::Done(registered) => {
                person.id = Some(text(&registered["user"]["id"]));
                person.access = text(&registered["access_token"]);
                person.sessions.push(text(&registered["refresh_token"]));
                let followed = self.people.iter().filter(|person| person.follower.is_some()).count();
                if followed < FOLLOWED {
                    person.follower = Some(Follower::of(&self.address, &person.access));
                }
            }
            Answer::Refused(status, code) => self
                .asking
                .wrong(format!("a registration was refused: {status} {code}")),
            Answer::Nothing => {}
        }
        self.people.push(person);
    }

    pub(super) async fn login(&mut self, person: usize) {
        let body = json!({"username_or_email": self.people[person].username, "password": PASSWORD});
        match self.post("", "/api/v1/auth/login", body).await {
            Answer::Done(tokens) => {
                let person = &mut self.people[person];
                person.access = text(&tokens["access_token"]);
                person.sessions.insert(0, text(&tokens["refresh_token"]));
                person.sessions.truncate(SESSIONS);
            }
            Answer::Refused(status, code) => self.asking.wrong(format!("a login was refused: {status} {code}")),
            Answer::Nothing => {}
        }
    }

    pub(super) async fn refresh(&mut self, person: usize) {
        let session = self.chance.below(self.people[person].sessions.len());
        let body = json!({"refresh_token": self.people[person].sessions[session]});
        match self.post("", "/api/v1/auth/refresh", body).await {
            Answer::Done(tokens) => {
                let person = &mut self.people[person];
                person.access = text(&tokens["access_token"]);
                person.sessions[session] = text(&tokens["refresh_token"]);
            }
            Answer::Refused(status, code) => self
                .asking
                .wrong(format!("a refresh token was refused: {status} {code}")),
            // The token is good for another try: its successor is the same.
            Answer::Nothing => {}
        }
    }

    pub(super) async fn leave(&mut self, person: usize) {
        let path = format!(
            "/api/v1/users/{}",
            self.people[person].id.as_deref().unwrap_or_default()
        );
        let departure = match self.as_person(person, Method::DELETE, &path, Body::Empty).await {
            Answer::Done(_) => Departure::Gone,
            Answer::Refused(..) | Answer::Nothing => Departure::Unsure,
        };
        self.people[person].departure = departure;
    }
}
