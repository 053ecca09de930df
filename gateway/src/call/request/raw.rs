//! Bodies of any type, as `google.api.HttpBody`.

use prost::encoding::{WireType, encode_key};
use prost_reflect::FieldDescriptor;

use crate::transcode::encode;

const CONTENT_TYPE: u32 = 1;
const DATA: u32 = 2;

/// Appends the `google.api.HttpBody` at `field`, or in place of the message itself.
pub(in crate::call) fn append(
    field: Option<&FieldDescriptor>,
    content_type: Option<&str>,
    data: &[u8],
    out: &mut Vec<u8>,
) {
    let put = |out: &mut Vec<u8>| {
        if let Some(content_type) = content_type {
            encode::string(CONTENT_TYPE, content_type, out);
        }
        if !data.is_empty() {
            encode_key(DATA, WireType::LengthDelimited, out);
            encode::bytes(data, out);
        }
    };
    match field {
        None => put(out),
        Some(field) => {
            encode_key(field.number(), WireType::LengthDelimited, out);
            encode::delimited(out, put);
        }
    }
}
