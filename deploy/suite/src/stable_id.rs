//! Ids derived from what they identify, so that a command that runs twice creates one thing.

use sha2::{Digest, Sha256};
use uuid::Uuid;

/// The id of `parts`: a UUID of version 8 (RFC 9562 §5.8) from their SHA-256.
pub(crate) fn stable_id(parts: &[&str]) -> Uuid {
    let mut digest = Sha256::new();
    for part in parts {
        // The length keeps ["ab", "c"] apart from ["a", "bc"].
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_parts_give_the_same_id_and_others_another() {
        assert_eq!(stable_id(&["a", "b"]), stable_id(&["a", "b"]));
        assert_ne!(stable_id(&["ab", "c"]), stable_id(&["a", "bc"]));
        assert_eq!(stable_id(&["a"]).get_version_num(), 8);
    }
}
