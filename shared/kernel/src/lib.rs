//! The ground floor: words that every crate of the suite shares, without gRPC, HTTP or SQL.
//!
//! In reading order:
//! - [`deadline`]: until when somebody waits for an answer;
//! - [`rule`] and [`violations`]: a rule that a value breaks, and the broken fields of a request,
//!   gathered;
//! - [`fault`]: why the suite itself could not do what was requested;
//! - [`failure`]: whether another attempt may succeed;
//! - [`scope`]: a transaction around several units of work, and [`idempotency`]: requests that carry
//!   a key, whose replies are kept in one;
//! - [`etag`]: which version of a resource somebody has seen;
//! - [`text`], [`url`] and [`id`]: rules of plain values, which the domain types of the services
//!   build on;
//! - [`username`], [`email`], [`display_name`] and [`role`]: what auth and users both mean by an
//!   account's fields;
//! - [`language`]: the languages that the suite writes to people in, and the choice among them.
//!
//! Parse, don't validate: who holds an [`Email`] holds a right one. The crate depends on no other
//! crate of the suite; `tests/architecture` holds that.

pub mod deadline;
pub mod display_name;
pub mod email;
pub mod etag;
pub mod failure;
pub mod fault;
pub mod id;
pub mod idempotency;
pub mod language;
pub mod role;
pub mod rule;
pub mod scope;
pub mod text;
pub mod url;
pub mod username;
pub mod violations;

pub use deadline::{Deadline, DeadlineExceeded};
pub use display_name::DisplayName;
pub use email::Email;
pub use etag::{Etag, EtagMismatch, Precondition};
pub use failure::Failure;
pub use fault::Fault;
pub use idempotency::{IdempotencyKey, KeptReplies, KeptReply, KeyedRequest};
pub use language::Language;
pub use role::Role;
pub use rule::Rule;
pub use scope::Scope;
pub use username::Username;
pub use violations::{InvalidFields, Violation, Violations};
