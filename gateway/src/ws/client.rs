//! A connected client: its session and its subscriptions.

use std::collections::HashMap;

use futures::FutureExt;
use futures::future::BoxFuture;
use quartet_rpc::Failure;
use tokio::sync::watch;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

use super::close::{Close, End};
use super::dispatch::MESSAGES;
use super::frame::{ServerFrame, timestamp};
use super::send_queue::SendQueue;
use super::sockets::{Session, Sockets};
use super::subscription::Ended;
use crate::call::status;
use crate::call::topic_stream::ClientContext;
use crate::open_streams::OpenStream;

/// A client that is being served.
pub(super) struct Client {
    pub(super) sockets: Sockets,
    pub(super) context: ClientContext,
    pub(super) queue: SendQueue,
    pub(super) session: watch::Sender<Option<Session>>,
    /// Resolves when the session no longer counts; `None` before the client has signed in.
    session_end: Option<BoxFuture<'static, Failure>>,
    /// Counts the connection among its user's streams, from the first sign-in on.
    open: Option<OpenStream>,
    /// The tasks of the topics and rooms that the client follows.
    subscriptions: HashMap<String, AbortHandle>,
    /// Whether the client has subscribed to the messages to its user, which it follows anyway.
    messages_confirmed: bool,
    /// The topic of each task.
    names: HashMap<Id, String>,
    tasks: JoinSet<Ended>,
}

impl Client {
    pub(super) fn new(sockets: Sockets, context: ClientContext, queue: SendQueue) -> Self {
        Self {
            sockets,
            context,
            queue,
            session: watch::Sender::new(None),
            session_end: None,
            open: None,
            subscriptions: HashMap::new(),
            messages_confirmed: false,
            names: HashMap::new(),
            tasks: JoinSet::new(),
        }
    }

    /// Whether the client has signed in.
    pub(super) fn is_signed_in(&self) -> bool {
        self.session_end.is_some()
    }

    /// Takes `session` as the client's, in place of one that it may have, and confirms it.
    pub(super) fn sign_in(&mut self, session: Session, reference: Option<&str>) -> Result<(), End> {
        let user = session.user.clone();
        let is_first = self.open.is_none();
        if is_first {
            let too_many = || End::Close(Close::too_many_streams());
            self.open = Some(self.sockets.streams.open(user.id).ok_or_else(too_many)?);
        }
        let verifier = self.sockets.verifier.clone();
        self.session.send_replace(Some(session));
        let confirmed = self.reply(&ServerFrame {
            kind: "ready",
            r#ref: reference,
            user_id: Some(user.id),
            expires_at: timestamp(user.expires_at),
            ..ServerFrame::default()
        });
        if is_first {
            let messages = self.messages(user.id, None);
            self.start(MESSAGES.to_owned(), messages);
        }
        self.session_end = Some(async move { verifier.until_unwelcome(&user, false).await }.boxed());
        confirmed
    }

    /// How many topics and rooms the client follows, beside the messages to its user.
    pub(super) fn subscriptions(&self) -> usize {
        self.subscriptions.len() - usize::from(self.is_subscribed(MESSAGES))
    }

    /// Whether a subscription to the messages to its user has nothing to do but to be confirmed: the client
    /// follows them since its sign-in.
    pub(super) fn confirms_messages(&mut self) -> bool {
        self.is_subscribed(MESSAGES) && !std::mem::replace(&mut self.messages_confirmed, true)
    }

    /// Whether the client follows the topic or room.
    pub(super) fn is_subscribed(&self, name: &str) -> bool {
        self.subscriptions.contains_key(name)
    }

    /// Runs the subscription to the topic or room of that name.
    pub(super) fn start(&mut self, name: String, subscription: BoxFuture<'static, Ended>) {
        let handle = self.tasks.spawn(subscription);
        self.names.insert(handle.id(), name.clone());
        self.subscriptions.insert(name, handle);
    }

    /// Ends the subscription, and sends `confirmation` behind all of its events. Returns whether
    /// there was one.
    pub(super) fn stop(&mut self, name: &str, confirmation: &ServerFrame<'_>) -> bool {
        let Some(handle) = self.subscriptions.remove(name) else {
            return false;
        };
        handle.abort();
        self.names.remove(&handle.id());
        let (queue, text) = (self.queue.clone(), confirmation.text());
        self.tasks.spawn(async move {
            let _ = queue.send(text).await;
            Ended::Quietly
        });
        true
    }

    /// Resolves when a subscription has ended, or when the session no longer counts.
    pub(super) async fn changed(&mut self) -> Result<(), End> {
        tokio::select! {
            biased;
            failure = resolved(&mut self.session_end) => {
                let problem = status::to_problem(&failure.into());
                Err(End::Close(Close::session_over(&problem)))
            }
            Some(ended) = self.tasks.join_next_with_id() => self.forget(ended),
        }
    }

    fn forget(&mut self, ended: Result<(Id, Ended), JoinError>) -> Result<(), End> {
        let (id, ended) = match ended {
            Ok((id, ended)) => (id, ended),
            Err(error) => {
                if error.is_panic() {
                    tracing::error!(%error, "a subscription panicked");
                }
                (error.id(), Ended::Quietly)
            }
        };
        if let Some(name) = self.names.remove(&id) {
            self.subscriptions.remove(&name);
        }
        match ended {
            Ended::Quietly => Ok(()),
            Ended::Slow => Err(End::Close(Close::slow_consumer())),
        }
    }

    /// Sends the answer to a frame.
    pub(super) fn reply(&self, frame: &ServerFrame<'_>) -> Result<(), End> {
        let full = |_| End::Close(Close::slow_consumer());
        self.queue.reply(frame.text()).map_err(full)
    }

    /// Ends every subscription.
    pub(super) async fn shut_down(&mut self) {
        self.tasks.shutdown().await;
    }
}

/// Resolves with the future, and never without one.
async fn resolved(future: &mut Option<BoxFuture<'static, Failure>>) -> Failure {
    match future {
        Some(future) => future.await,
        None => std::future::pending().await,
    }
}
