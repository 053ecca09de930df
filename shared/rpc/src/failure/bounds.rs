//! How large a status may become.
//!
//! A status travels in HTTP/2 trailers. Trailers above the receiver's limit (16 KiB in hyper) end
//! the whole connection, and with it the calls of everybody who shares it. What a status carries
//! comes from requests in part, so that every part of it has a bound, and so has the sum.

use std::collections::HashMap;

use tonic_types::FieldViolation;

/// Broken field rules in one status. The rest is counted.
pub const MAX_VIOLATIONS: usize = 100;
/// Bytes of the message and of all details of one status together, before they are encoded for the
/// trailers. Base64 and percent-encoding make at most 13 KiB of it.
pub const MAX_BYTES: usize = 8 * 1024;
/// The key of the error's metadata that counts the broken field rules that were left out.
pub const OMITTED: &str = "omitted_violations";

/// Bytes of the message.
const MAX_MESSAGE: usize = 512;
/// Bytes of a field's path or of a rule's text.
const MAX_TEXT: usize = 256;
/// Entries of the error's metadata, and bytes of one of its keys or values.
const MAX_ENTRIES: usize = 8;
/// Bytes that protobuf puts around a violation: tags and lengths of the message and its fields.
const FRAME: usize = 16;
/// Bytes kept free for what stands around the violations: reason, domain, delay, type URLs.
const REST: usize = 512;

/// The parts of a status that requests can make large, cut down to their bounds.
pub(super) struct Bounded {
    pub(super) message: String,
    pub(super) metadata: HashMap<String, String>,
    pub(super) violations: Vec<FieldViolation>,
}

impl Bounded {
    /// Cuts texts, leaves out what is too much, and counts the violations that were left out.
    pub(super) fn new(
        message: &str,
        metadata: HashMap<String, String>,
        violations: Vec<FieldViolation>,
        omitted: usize,
    ) -> Self {
        let message = cut(message, MAX_MESSAGE);
        let mut metadata: Vec<_> = metadata.into_iter().collect();
        // Which entries stay does not depend on the order of a hash map.
        metadata.sort();
        metadata.truncate(MAX_ENTRIES);
        let mut metadata: HashMap<_, _> = metadata
            .into_iter()
            .map(|(key, value)| (cut(&key, MAX_TEXT), cut(&value, MAX_TEXT)))
            .collect();

        let entries: usize = metadata
            .iter()
            .map(|(key, value)| key.len() + value.len() + FRAME)
            .sum();
        // The message stands twice in a status: as `grpc-message` and in its details.
        let mut left = MAX_BYTES.saturating_sub(REST + 2 * message.len() + entries);
        let total = violations.len() + omitted;
        let mut kept = Vec::with_capacity(violations.len().min(MAX_VIOLATIONS));
        for violation in violations.into_iter().take(MAX_VIOLATIONS).map(shortened) {
            let size = FRAME + violation.field.len() + violation.description.len() + violation.reason.len();
            let Some(rest) = left.checked_sub(size) else {
                break;
            };
            left = rest;
            kept.push(violation);
        }
        if kept.len() < total {
            metadata.insert(OMITTED.to_owned(), (total - kept.len()).to_string());
        }
        Self {
            message,
            metadata,
            violations: kept,
        }
    }
}

fn shortened(violation: FieldViolation) -> FieldViolation {
    FieldViolation {
        field: cut(&violation.field, MAX_TEXT),
        description: cut(&violation.description, MAX_TEXT),
        reason: cut(&violation.reason, MAX_TEXT),
        localized_message: None,
    }
}

/// At most `max` bytes of a text, whole characters, with an ellipsis where something is missing.
fn cut(text: &str, max: usize) -> String {
    const ELLIPSIS: &str = "…";
    if text.len() <= max {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(max - ELLIPSIS.len());
    format!("{}{ELLIPSIS}", text.get(..end).unwrap_or_default())
}
