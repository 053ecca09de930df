//! `google.protobuf.FieldMask` of updates (AIP-134).

use prost_types::FieldMask;
use quartet_kernel::{Rule, Violations};
use quartet_proto::bounded::MAX_PATHS;

/// The fields to write: those of `mask` among `fields`, or all of them when the mask is unset,
/// empty or `*`. A path that names no field is noted in `violations`.
pub fn parse(mask: Option<&FieldMask>, fields: &[&'static str], violations: &mut Violations) -> Vec<&'static str> {
    let paths = mask.map_or(&[][..], |mask| &mask.paths);
    if paths.is_empty() || paths == ["*"] {
        return fields.to_vec();
    }
    if paths.len() > MAX_PATHS {
        let text = format!("must have at most {MAX_PATHS} items");
        violations.add("update_mask", Rule::new("REPEATED_MAX_ITEMS", text));
        return Vec::new();
    }
    let mut named = Vec::with_capacity(paths.len());
    for path in paths {
        match fields.iter().find(|field| *field == path) {
            Some(field) => named.push(*field),
            None => violations.add(
                "update_mask",
                Rule::new("UNKNOWN_FIELD", format!("`{path}` is none of {}", fields.join(", "))),
            ),
        }
    }
    named
}
