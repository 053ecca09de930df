//! Requests that carry a key, so that a repeat does not take effect twice (IETF
//! draft-ietf-httpapi-idempotency-key-header), and what a store keeps of them.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use uuid::Uuid;

use crate::{Deadline, Fault, Rule, Scope};

/// The key of a request: 1 to 255 visible ASCII characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

impl IdempotencyKey {
    /// Characters at the most.
    pub const MAX: usize = 255;

    /// Parses the value of the header. The quotes of a string of structured fields (RFC 9651
    /// §3.3.3) are no part of the key.
    pub fn parse(raw: &str) -> Result<Self, Rule> {
        let raw = raw.trim_matches([' ', '\t']);
        let inner = raw.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let key = match inner {
            Some(inner) => unescape(inner)?,
            None => raw.to_owned(),
        };
        match key.len() {
            0 => Err(Rule::new("STRING_MIN_LEN", "must be at least 1 character")),
            1..=Self::MAX if key.bytes().all(|byte| byte.is_ascii_graphic()) => Ok(Self(key)),
            1..=Self::MAX => Err(Self::not_visible()),
            _ => Err(Rule::new(
                "STRING_MAX_LEN",
                format!("must be at most {} characters", Self::MAX),
            )),
        }
    }

    /// The rule that a value breaks which is no text.
    pub fn not_visible() -> Rule {
        Rule::new("STRING_PATTERN", "must be visible ASCII characters, without blanks")
    }

    /// The key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IdempotencyKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn unescape(inner: &str) -> Result<String, Rule> {
    let mut key = String::with_capacity(inner.len());
    let mut characters = inner.chars();
    while let Some(character) = characters.next() {
        match (character, character == '\\') {
            (_, true) => match characters.next() {
                Some(escaped @ ('"' | '\\')) => key.push(escaped),
                _ => return Err(Rule::new("STRING_PATTERN", "must have only \" and \\ after a \\")),
            },
            ('"', _) => return Err(Rule::new("STRING_PATTERN", "must have no \" inside its quotes")),
            (other, _) => key.push(other),
        }
    }
    Ok(key)
}

/// A request with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyedRequest {
    /// Whose key it is. Keys of two owners are two keys.
    pub owner: Uuid,
    /// The key.
    pub key: IdempotencyKey,
    /// The method, such as `quartet.todos.v1.TodoService/CreateTodo`.
    pub method: Arc<str>,
    /// What distinguishes the request, its method included, from every other.
    pub fingerprint: [u8; 32],
}

/// What was kept of the first request with a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptReply {
    /// The fingerprint of the request.
    pub fingerprint: Vec<u8>,
    /// Its reply, encoded.
    pub reply: Vec<u8>,
}

/// What became of a reply that was to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keeping {
    /// It is committed, with the effect of the request.
    Committed,
    /// Another request has committed with this key; the effect of this one is rolled back.
    Taken,
    /// Another request holds the key for longer than this one could wait; the effect of this one is
    /// rolled back.
    InUse,
}

/// The replies that a service keeps, in the store of the effects.
#[async_trait]
pub trait KeptReplies: Send + Sync {
    /// What was kept of the request with the key of this one.
    async fn find(&self, request: &KeyedRequest, deadline: Deadline) -> Result<Option<KeptReply>, Fault>;

    /// Keeps the reply in the transaction of `scope`, which has the effect of the request, and
    /// commits that. Waits for another request with the key that is not committed yet.
    async fn keep(
        &self,
        request: &KeyedRequest,
        reply: &[u8],
        scope: &Scope,
        deadline: Deadline,
    ) -> Result<Keeping, Fault>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_same_with_and_without_the_quotes_of_a_structured_field() {
        let plain = IdempotencyKey::parse("8e03978e-40d5").unwrap();
        assert_eq!(IdempotencyKey::parse("\"8e03978e-40d5\"").unwrap(), plain);
        assert_eq!(IdempotencyKey::parse(r#""a\"b\\c""#).unwrap().as_str(), r#"a"b\c"#);
        assert!(IdempotencyKey::parse(&"k".repeat(255)).is_ok());
    }

    #[test]
    fn what_is_no_key_breaks_a_rule_that_has_a_name() {
        for (wrong, rule) in [
            ("", "STRING_MIN_LEN"),
            ("\"\"", "STRING_MIN_LEN"),
            ("a b", "STRING_PATTERN"),
            ("schlüssel", "STRING_PATTERN"),
            ("\"a\"b\"", "STRING_PATTERN"),
            (&"k".repeat(256), "STRING_MAX_LEN"),
        ] {
            assert_eq!(IdempotencyKey::parse(wrong).unwrap_err().name, rule, "{wrong}");
        }
    }
}
