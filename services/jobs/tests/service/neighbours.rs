//! The todos, auth and users services, as far as jobs call them.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use quartet_clock::Clock;
use quartet_proto::auth::v1 as auth;
use quartet_proto::auth::v1::contact_service_server::{ContactService, ContactServiceServer};
use quartet_proto::auth::v1::mail_service_server::{MailService, MailServiceServer};
use quartet_proto::todos::v1 as pb;
use quartet_proto::todos::v1::transfer_service_server::{TransferService, TransferServiceServer};
use quartet_proto::users::v1 as users;
use quartet_proto::users::v1::upkeep_service_server::{UpkeepService, UpkeepServiceServer};
use quartet_rpc::Upstream;
use quartet_rpc::host::Hosted;
use quartet_testkit::stack;
use tokio_util::sync::CancellationToken;
use tonic::service::RoutesBuilder;
use tonic::{Request, Response, Status};

/// What the other services have, and what they received.
#[derive(Clone, Default)]
pub(crate) struct Neighbours(pub(crate) Arc<Mutex<State>>);

#[derive(Default)]
pub(crate) struct State {
    /// Todos of everybody, in the order of exports.
    pub(crate) todos: Vec<pb::Todo>,
    /// Rows that were imported, by import and line.
    pub(crate) imported: Vec<(String, pb::ImportRow)>,
    /// Calls of ImportTodos that are to fail before one succeeds.
    pub(crate) failures: usize,
    pub(crate) due: Vec<pb::DueTodo>,
    pub(crate) contacts: Vec<auth::Contact>,
    /// What is in every mail that auth requests; nothing is sent when it is not set.
    pub(crate) mail: Option<auth::IssuedMail>,
    /// The mails that were issued.
    pub(crate) issued: Vec<auth::MailRequest>,
    /// Deleted todos that are yet to be purged.
    pub(crate) deleted: i32,
    /// Deleted users that are yet to be purged.
    pub(crate) gone: i32,
}

impl Neighbours {
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.0.lock().unwrap())
    }

    pub(crate) async fn upstream(&self, clock: &Clock) -> Upstream {
        let host = stack::host("neighbours", clock, Upstream::local("auth").0);
        stack::upstream(
            &host,
            &["quartet.todos.v1", "quartet.auth.v1", "quartet.users.v1"],
            self,
        )
        .await
    }
}

impl Hosted for Neighbours {
    fn add_to(&self, routes: &mut RoutesBuilder) {
        routes
            .add_service(TransferServiceServer::new(self.clone()))
            .add_service(ContactServiceServer::new(self.clone()))
            .add_service(MailServiceServer::new(self.clone()))
            .add_service(UpkeepServiceServer::new(self.clone()));
    }

    fn probe(&self) -> quartet_rpc::server::Probe {
        quartet_rpc::server::Probe::of(async || true)
    }

    async fn run(self, _: CancellationToken) {}
}

#[async_trait]
impl TransferService for Neighbours {
    async fn export_todos(
        &self,
        request: Request<pb::ExportTodosRequest>,
    ) -> Result<Response<pb::ExportTodosResponse>, Status> {
        let request = request.into_inner();
        let skip: usize = request.page_token.parse().unwrap_or_default();
        let size = request.page_size() as usize;
        Ok(Response::new(self.with(|state| {
            let mine: Vec<_> = state
                .todos
                .iter()
                .filter(|todo| todo.user_id == request.user_id)
                .cloned()
                .collect();
            pb::ExportTodosResponse {
                total_count: mine.len() as i32,
                next_page_token: if skip + size < mine.len() {
                    (skip + size).to_string()
                } else {
                    String::new()
                },
                data: mine.into_iter().skip(skip).take(size).collect(),
            }
        })))
    }

    async fn import_todos(
        &self,
        request: Request<pb::ImportTodosRequest>,
    ) -> Result<Response<pb::ImportTodosResponse>, Status> {
        let request = request.into_inner();
        self.with(|state| {
            let mut errors = Vec::new();
            let mut imported = 0;
            for row in request.rows {
                if row.title.is_empty() {
                    errors.push(pb::ImportError {
                        line: row.line,
                        field: "title".into(),
                        reason: "REQUIRED".into(),
                        message: "is required".into(),
                    });
                    continue;
                }
                imported += 1;
                let known = state
                    .imported
                    .iter()
                    .any(|(id, other)| *id == request.import_id && other.line == row.line);
                if !known {
                    state.imported.push((request.import_id.clone(), row));
                }
            }
            // The rows are there, and the answer is lost: what a crash between the two looks like.
            if state.failures > 0 {
                state.failures -= 1;
                return Err(Status::unavailable("away"));
            }
            Ok(Response::new(pb::ImportTodosResponse { imported, errors }))
        })
    }

    async fn list_due_todos(
        &self,
        _: Request<pb::ListDueTodosRequest>,
    ) -> Result<Response<pb::ListDueTodosResponse>, Status> {
        Ok(Response::new(pb::ListDueTodosResponse {
            data: self.with(|state| state.due.clone()),
            next_page_token: String::new(),
        }))
    }

    async fn purge_deleted_todos(
        &self,
        request: Request<pb::PurgeDeletedTodosRequest>,
    ) -> Result<Response<pb::PurgeDeletedTodosResponse>, Status> {
        let limit = request.get_ref().limit;
        let purged = self.with(|state| {
            let purged = state.deleted.min(limit);
            state.deleted -= purged;
            purged
        });
        Ok(Response::new(pb::PurgeDeletedTodosResponse { purged }))
    }
}

#[async_trait]
impl UpkeepService for Neighbours {
    async fn purge_deleted_users(
        &self,
        request: Request<users::PurgeDeletedUsersRequest>,
    ) -> Result<Response<users::PurgeDeletedUsersResponse>, Status> {
        let limit = request.get_ref().limit;
        let purged = self.with(|state| {
            let purged = state.gone.min(limit);
            state.gone -= purged;
            purged
        });
        Ok(Response::new(users::PurgeDeletedUsersResponse { purged }))
    }
}

#[async_trait]
impl ContactService for Neighbours {
    async fn get_contact(&self, request: Request<auth::GetContactRequest>) -> Result<Response<auth::Contact>, Status> {
        let id = request.into_inner().account_id;
        let found = self.with(|state| state.contacts.iter().find(|contact| contact.account_id == id).cloned());
        found
            .map(Response::new)
            .ok_or_else(|| Status::not_found("no such account"))
    }
}

#[async_trait]
impl MailService for Neighbours {
    async fn issue_mail(
        &self,
        request: Request<auth::IssueMailRequest>,
    ) -> Result<Response<auth::IssueMailResponse>, Status> {
        let mail = self.with(|state| {
            state.issued.extend(request.into_inner().request);
            state.mail.clone()
        });
        Ok(Response::new(auth::IssueMailResponse { mail }))
    }
}
