//! Requests with an idempotency key: the metadata `idempotency-key`, which the gateway makes of the
//! header `Idempotency-Key` (IETF draft-ietf-httpapi-idempotency-key-header).
//!
//! A method with a key runs in a [`Scope`]: its effect is committed together with its reply. A
//! repeat gets that reply, marked by the metadata `idempotency-replayed`. Only what succeeded is
//! kept.

use std::sync::Arc;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use prost::Message;
use quartet_kernel::idempotency::Keeping;
use quartet_kernel::{IdempotencyKey, KeptReplies, KeyedRequest, Scope, violations};
use quartet_proto::options::{Idempotency, Reason};
use sha2::Sha256;
use tonic::metadata::MetadataValue;
use tonic::{Code, Response, Status};
use tracing::Instrument;
use uuid::Uuid;

use crate::{Call, Caller, Failure};

/// The metadata with the key of a request.
pub const KEY: &str = "idempotency-key";
/// The metadata of a reply that was kept of the first request with the key.
pub const REPLAYED: &str = "idempotency-replayed";
/// What clients call the key.
const HEADER: &str = "Idempotency-Key";
/// What the secret of fingerprints is drawn for.
pub(crate) const PURPOSE: &str = "fingerprints of requests with a key";
/// When to try again where another request holds the key.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The key that a call came with.
#[derive(Debug, Clone)]
pub struct CallKey {
    key: IdempotencyKey,
    /// The method, such as `quartet.todos.v1.TodoService/CreateTodo`.
    method: Arc<str>,
    /// Whether the method itself answers a repeat.
    is_redone: bool,
    secret: [u8; 32],
}

impl CallKey {
    /// The key among `headers`, if there is one and the method takes it.
    ///
    /// Errors: INVALID_ARGUMENT with the rule that the key breaks, or `IDEMPOTENCY_KEY_REFUSED`.
    pub(crate) fn read(
        headers: &HeaderMap,
        method: &Arc<str>,
        takes: Idempotency,
        secret: [u8; 32],
    ) -> Result<Option<Self>, Failure> {
        let mut values = headers.get_all(KEY).iter();
        let (first, second) = (values.next(), values.next());
        let (Some(value), false) = (first, takes == Idempotency::Unspecified) else {
            return Ok(None);
        };
        if takes == Idempotency::Refused {
            let text = "the reply holds a secret, which is never kept, so that the method takes no Idempotency-Key";
            return Err(Failure::new(Code::InvalidArgument, Reason::IdempotencyKeyRefused, text));
        }
        let key = match (value.to_str(), second) {
            (Ok(text), None) => IdempotencyKey::parse(text),
            _ => Err(IdempotencyKey::not_visible()),
        };
        Ok(Some(Self {
            key: key.map_err(|rule| violations::one(HEADER, rule))?,
            method: method.clone(),
            is_redone: takes == Idempotency::Redone,
            secret,
        }))
    }

    /// The request with this key whose message is made of `parts`.
    ///
    /// A request may hold a password. Its fingerprint is keyed with a secret of the suite, so that
    /// nobody who reads the store can try passwords on it.
    fn request(&self, caller: &Caller, parts: &[&[u8]]) -> Option<KeyedRequest> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.secret).ok()?;
        for part in std::iter::once(self.method.as_bytes()).chain(parts.iter().copied()) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part);
        }
        let fingerprint: [u8; 32] = mac.finalize().into_bytes().into();
        let owner = match caller {
            Caller::User(user) => user.id,
            // Callers who are not signed in cannot be distinguished, so that the request is its own
            // scope: a key repeats this request and no other.
            Caller::Anonymous => Uuid::from_slice(fingerprint.get(..16)?).ok()?,
            Caller::Service(_) => return None,
        };
        Some(KeyedRequest {
            owner,
            key: self.key.clone(),
            method: self.method.clone(),
            fingerprint,
        })
    }
}

/// The request of a call with a key that [`run`] has to answer; `None` without a key, and where the
/// method itself answers a repeat.
pub fn request(call: &Call, message: &impl Message) -> Option<KeyedRequest> {
    let key = call.idempotency.as_deref().filter(|key| !key.is_redone)?;
    key.request(&call.caller, &[&message.encode_to_vec()])
}

/// The request of a call with a key, for a method that has its own idea of what makes two requests
/// equal: `parts`, in this order.
pub fn request_of(call: &Call, parts: &[&[u8]]) -> Option<KeyedRequest> {
    call.idempotency.as_deref()?.request(&call.caller, parts)
}

/// A reply, and whether it was kept of the first request with the key.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply<R> {
    /// The message.
    pub message: R,
    /// Whether it answers a repeat.
    pub is_replay: bool,
}

impl<R> From<Reply<R>> for Response<R> {
    fn from(reply: Reply<R>) -> Self {
        let mut response = Self::new(reply.message);
        if reply.is_replay {
            response
                .metadata_mut()
                .insert(REPLAYED, MetadataValue::from_static("true"));
        }
        response
    }
}

/// Answers a request with a key by `work`, which is done to its end: what it does in other services
/// and what it commits must not part when its caller goes away.
pub async fn run<R, E, F>(
    replies: Arc<dyn KeptReplies>,
    call: Call,
    request: KeyedRequest,
    work: impl FnOnce(Call) -> F + Send + 'static,
) -> Result<Response<R>, Status>
where
    R: Message + Default + 'static,
    E: From<Failure> + Into<Status> + Send + 'static,
    F: Future<Output = Result<R, E>> + Send,
{
    let done = async move { once(&*replies, &call, Some(request), work).await };
    match tokio::spawn(done.in_current_span()).await {
        Ok(done) => done.map(Response::from).map_err(Into::into),
        Err(error) => {
            tracing::error!(%error, "a request with a key was broken off");
            Err(Failure::internal().into())
        }
    }
}

/// Answers a request by `work`, or as the first request with its key was answered. What `work`
/// commits on the store, for the call that it is given, is committed with the reply. Without a
/// request, `work` is all that happens.
///
/// Errors: those of `work`; INVALID_ARGUMENT `IDEMPOTENCY_KEY_REUSED`, ABORTED
/// `IDEMPOTENCY_KEY_IN_USE`.
pub async fn once<R, E, F>(
    replies: &dyn KeptReplies,
    call: &Call,
    request: Option<KeyedRequest>,
    work: impl FnOnce(Call) -> F,
) -> Result<Reply<R>, E>
where
    R: Message + Default,
    E: From<Failure>,
    F: Future<Output = Result<R, E>>,
{
    let first = |message| Reply {
        message,
        is_replay: false,
    };
    let Some(request) = request else {
        return Ok(first(work(call.clone()).await?));
    };
    if let Some(reply) = find(replies, call, &request).await? {
        return Ok(reply);
    }
    let scope = Scope::default();
    let scoped = Call {
        scope: Some(scope.clone()),
        ..call.clone()
    };
    let message = match work(scoped).await {
        Ok(message) => message,
        Err(error) => {
            scope.roll_back();
            // What it failed on may be the effect of a request with the same key that ran at the
            // same time.
            return find(replies, call, &request).await?.ok_or(error);
        }
    };
    let encoded = message.encode_to_vec();
    let keeping = replies.keep(&request, &encoded, &scope, call.deadline).await;
    match keeping.map_err(Failure::from)? {
        Keeping::Committed => Ok(first(message)),
        Keeping::Taken => Ok(find(replies, call, &request).await?.ok_or_else(in_use)?),
        Keeping::InUse => Err(in_use().into()),
    }
}

/// The reply that was kept of the first request with the key.
async fn find<R: Message + Default>(
    replies: &dyn KeptReplies,
    call: &Call,
    request: &KeyedRequest,
) -> Result<Option<Reply<R>>, Failure> {
    let Some(kept) = replies.find(request, call.deadline).await? else {
        return Ok(None);
    };
    if kept.fingerprint != request.fingerprint {
        return Err(Failure::new(
            Code::InvalidArgument,
            Reason::IdempotencyKeyReused,
            "the Idempotency-Key belongs to another request",
        ));
    }
    let message = R::decode(kept.reply.as_slice()).map_err(|error| {
        tracing::error!(%error, method = &*request.method, "a reply that was kept does not decode");
        Failure::internal()
    })?;
    Ok(Some(Reply {
        message,
        is_replay: true,
    }))
}

fn in_use() -> Failure {
    Failure::new(
        Code::Aborted,
        Reason::IdempotencyKeyInUse,
        "another request with the Idempotency-Key is still running",
    )
    .retry_after(RETRY_AFTER)
}
