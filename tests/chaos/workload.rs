//! The workload: users register, log in, write todos, create tasks and delete themselves.
//!
//! Each worker is one of Jepsen's logical processes: it takes an operation from its generator,
//! invokes it through its client, waits for the completion, and updates its model.

mod accounts;
mod client;
mod generator;
pub mod limit_probe;
pub mod receiver;
mod tasks;
mod todos;

use std::sync::Arc;

use http::Method;
use quartet_tests::Rest;
use quartet_tests::app::unique;
use serde_json::Value;

use crate::history::{History, Process};
use crate::model::User;
use client::{Body, Client, Completion};
use generator::{Generator, Operation};

pub use accounts::PASSWORD;
pub use client::REQUEST_TIMEOUT;

/// A worker of the workload.
pub struct Worker {
    /// Addresses of the gateways.
    gateways: Vec<String>,
    /// Where webhooks go.
    hook: String,
    client: Client,
    generator: Generator,
    users: Vec<User>,
    serial: usize,
}

impl Worker {
    /// Worker `number` against the cluster behind `gateways`; `seed` decides its operations.
    pub fn new(gateways: &[String], hook: &str, number: u64, seed: u64, history: Arc<History>) -> Self {
        let clients = gateways.iter().map(|address| Rest::new(address)).collect();
        Self {
            gateways: gateways.to_vec(),
            hook: hook.to_owned(),
            client: Client::new(clients, Process::Client(number), history),
            generator: Generator::new(seed),
            users: Vec::new(),
            serial: 0,
        }
    }

    /// Invokes operations until `stopped`; returns the model of its users.
    pub async fn run(mut self, stopped: impl Fn() -> bool) -> Vec<User> {
        while !stopped() {
            let (operation, user) = self.generator.next(&self.users);
            match user {
                Some(user) => self.invoke(operation, user).await,
                None => self.register().await,
            }
            tokio::time::sleep(self.generator.pause(self.client.last_was_info)).await;
        }
        self.users
    }

    async fn invoke(&mut self, operation: Operation, user: usize) {
        match operation {
            Operation::Register => self.register().await,
            Operation::Login => self.login(user).await,
            Operation::Refresh => self.refresh(user).await,
            Operation::CreateTodo => self.create_todo(user).await,
            Operation::UpdateTodo => self.update_todo(user).await,
            Operation::ReadTodo => self.read_todo(user).await,
            Operation::CompleteTodo => self.complete_todo(user).await,
            Operation::DeleteTodo => self.delete_todo(user).await,
            Operation::Export => self.export(user).await,
            Operation::Import => self.import(user).await,
            Operation::RepeatTask => self.repeat_task(user).await,
            Operation::CancelTask => self.cancel_task(user).await,
            Operation::ReadTask => self.read_task(user).await,
            Operation::CreateWebhook => self.create_webhook(user).await,
            Operation::DeleteUser => self.delete_user(user).await,
        }
    }

    async fn post(&mut self, token: &str, path: &str, body: Value) -> Completion {
        self.client.invoke(token, Method::POST, path, Body::Json(body)).await
    }

    async fn invoke_as(&mut self, user: usize, method: Method, path: &str, body: Body) -> Completion {
        let token = &self.users[user].access_token;
        self.client.invoke(token, method, path, body).await
    }

    /// A name that is unique.
    fn unique_name(&mut self) -> String {
        self.serial += 1;
        unique(&format!("{} ", self.serial))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
