//! Details of a status for which a problem document has no member of its own, such as
//! `google.rpc.QuotaFailure`.

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use prost::Message;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Map, Value, json};
use tonic::Status;
use tonic_types::pb;

use crate::transcode::json;

/// What a problem shows in members of its own, and what is for the service's own logs.
const SHOWN_OTHERWISE: [&str; 4] = [
    "google.rpc.ErrorInfo",
    "google.rpc.BadRequest",
    "google.rpc.RetryInfo",
    "google.rpc.DebugInfo",
];

/// The types of `google/rpc/error_details.proto`.
static TYPES: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(pb::FILE_DESCRIPTOR_SET).unwrap_or_default());

/// The further details of a status, each an object with its `@type`, as ProtoJSON writes an `Any`. Of
/// a type that is not known, the bytes stand in `value`, in base64.
pub(super) fn of(status: &Status) -> Vec<Value> {
    let Ok(status) = pb::Status::decode(status.details()) else {
        return Vec::new();
    };
    let others = status.details.into_iter().filter_map(|detail| {
        let name = detail.type_url.rsplit('/').next()?;
        let is_shown = SHOWN_OTHERWISE.contains(&name);
        (!is_shown).then(|| detail_of(name, &detail.type_url, &detail.value))
    });
    others.collect()
}

fn detail_of(name: &str, url: &str, value: &[u8]) -> Value {
    match known(name, value) {
        Some(mut fields) => {
            fields.insert("@type".to_owned(), url.into());
            fields.into()
        }
        None => json!({"@type": url, "value": STANDARD.encode(value)}),
    }
}

fn known(name: &str, value: &[u8]) -> Option<Map<String, Value>> {
    let message = DynamicMessage::decode(TYPES.get_message_by_name(name)?, value).ok()?;
    let mut written = Vec::new();
    json::Writer::new(&mut written, &[]).message(&message).ok()?;
    serde_json::from_slice(&written).ok()
}

#[cfg(test)]
mod tests {
    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt};

    use super::*;

    #[test]
    fn every_detail_without_a_member_of_its_own_is_shown_with_its_type() {
        let mut details = ErrorDetails::new();
        details.set_error_info("OUT_OF_SEASON", "kitchen", std::collections::HashMap::new());
        details.set_debug_info(["main.rs:7".to_owned()], "secret");
        details.add_quota_failure_violation("user:7", "ten dishes a day");
        details.add_precondition_failure_violation("SEASON", "dishes/7", "is winter");
        details.add_help_link("the seasons", "https://example.org/seasons");
        details.set_localized_message("ru", "не сезон");
        let shown = of(&Status::with_error_details(Code::FailedPrecondition, "no", details));
        let url = |name: &str| format!("type.googleapis.com/google.rpc.{name}");
        assert_eq!(shown.len(), 4);
        let find = |name: &str| shown.iter().find(|detail| detail["@type"] == url(name)).unwrap();
        let quota = &find("QuotaFailure")["violations"][0];
        assert_eq!(
            (&quota["subject"], &quota["description"]),
            (&json!("user:7"), &json!("ten dishes a day"))
        );
        let precondition = json!({"type": "SEASON", "subject": "dishes/7", "description": "is winter"});
        assert_eq!(find("PreconditionFailure")["violations"], json!([precondition]));
        let link = json!({"description": "the seasons", "url": "https://example.org/seasons"});
        assert_eq!(find("Help")["links"], json!([link]));
        assert_eq!(find("LocalizedMessage")["message"], "не сезон");
    }

    #[test]
    fn a_detail_of_another_type_is_shown_as_its_bytes() {
        let detail = tonic_types::pb::Status {
            details: vec![unknown("type.example.org/kitchen.v1.Secret", b"\x01\xff")],
            ..Default::default()
        };
        let status = Status::with_details(Code::Aborted, "no", detail.encode_to_vec().into());
        let expected = json!({"@type": "type.example.org/kitchen.v1.Secret", "value": "Af8="});
        assert_eq!(of(&status), [expected]);
        assert!(of(&Status::aborted("no")).is_empty());
    }

    /// An `Any` without naming its crate.
    fn unknown<A: Message + Default>(url: &str, value: &[u8]) -> A {
        let mut bytes = Vec::new();
        prost::encoding::string::encode(1, &url.to_owned(), &mut bytes);
        prost::encoding::bytes::encode(2, &value.to_vec(), &mut bytes);
        A::decode(bytes.as_slice()).unwrap()
    }
}
