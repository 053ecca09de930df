//! Registration, login, refresh, and the deletion of users.

use http::Method;
use quartet_tests::app::unique;
use serde_json::json;

use super::client::{Body, Completion};
use super::{Worker, text};
use crate::model::{Deletion, User};
use quartet_tests::subscriber::{Subscriber, Transport};

/// The password of every user.
pub const PASSWORD: &str = "correct horse battery";
/// Sessions of one user at the most.
const MAX_SESSIONS: usize = 3;
/// Subscribers of one worker at the most.
const MAX_SUBSCRIBERS: usize = 4;

impl Worker {
    pub(super) async fn register(&mut self) {
        let username = unique("c");
        let body = json!({
            "name": "A Client",
            "username": username,
            "email": format!("{username}@example.org"),
            "password": PASSWORD,
        });
        let mut user = User::new(username);
        match self.post("", "/api/v1/auth/register", body).await {
            Completion::Ok(registered) => {
                user.id = Some(text(&registered["user"]["id"]));
                user.access_token = text(&registered["access_token"]);
                user.refresh_tokens.push(text(&registered["refresh_token"]));
                let subscribers = self.users.iter().filter(|user| user.subscriber.is_some()).count();
                if subscribers < MAX_SUBSCRIBERS {
                    let gateway = &self.gateways[subscribers % self.gateways.len()];
                    let transport = match subscribers % 2 {
                        0 => Transport::ServerSentEvents,
                        _ => Transport::WebSocket,
                    };
                    user.subscriber = Some(Subscriber::start(gateway, &user.access_token, transport));
                }
            }
            Completion::Fail(status, code) => self
                .client
                .anomaly(format!("a registration was refused: {status} {code}")),
            Completion::Info => {}
        }
        self.users.push(user);
    }

    pub(super) async fn login(&mut self, user: usize) {
        let body = json!({"username_or_email": self.users[user].username, "password": PASSWORD});
        match self.post("", "/api/v1/auth/login", body).await {
            Completion::Ok(tokens) => {
                let user = &mut self.users[user];
                user.access_token = text(&tokens["access_token"]);
                user.refresh_tokens.insert(0, text(&tokens["refresh_token"]));
                user.refresh_tokens.truncate(MAX_SESSIONS);
            }
            Completion::Fail(status, code) => self.client.anomaly(format!("a login was refused: {status} {code}")),
            Completion::Info => {}
        }
    }

    pub(super) async fn refresh(&mut self, user: usize) {
        let session = self.generator.below(self.users[user].refresh_tokens.len());
        let body = json!({"refresh_token": self.users[user].refresh_tokens[session]});
        match self.post("", "/api/v1/auth/refresh", body).await {
            Completion::Ok(tokens) => {
                let user = &mut self.users[user];
                user.access_token = text(&tokens["access_token"]);
                user.refresh_tokens[session] = text(&tokens["refresh_token"]);
            }
            Completion::Fail(status, code) => self
                .client
                .anomaly(format!("a refresh token was refused: {status} {code}")),
            // A retry with the same token returns the same successor.
            Completion::Info => {}
        }
    }

    pub(super) async fn delete_user(&mut self, user: usize) {
        let path = format!("/api/v1/users/{}", self.users[user].id.as_deref().unwrap_or_default());
        let deletion = match self.invoke_as(user, Method::DELETE, &path, Body::Empty).await {
            Completion::Ok(_) => Deletion::Ok,
            Completion::Fail(..) | Completion::Info => Deletion::Info,
        };
        self.users[user].deletion = deletion;
    }
}
