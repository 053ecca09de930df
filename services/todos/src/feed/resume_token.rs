//! The token that takes a stream of changes up again: a position, and a mark of whose feed it is
//! in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;

/// The token of `position` in the feed of `owner`.
pub(crate) fn write(owner: Uuid, position: i64) -> String {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&position.to_be_bytes());
    bytes[8..].copy_from_slice(&mark(owner));
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Whose feed the token is in, from the view of `owner`, and where.
pub(crate) enum Read {
    /// A position in the feed of the owner.
    Mine(i64),
    /// A position in another feed.
    Foreign,
}

/// Reads a token; `None` for a text that is none.
pub(crate) fn read(owner: Uuid, token: &str) -> Option<Read> {
    let bytes: [u8; 16] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
    let (position, found) = bytes.split_at(8);
    if found != mark(owner) {
        return Some(Read::Foreign);
    }
    let position = i64::from_be_bytes(position.try_into().ok()?);
    (position >= 0).then_some(Read::Mine(position))
}

/// The random half of the owner's id.
fn mark(owner: Uuid) -> [u8; 8] {
    owner.as_u64_pair().1.to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_read_by_its_owner_alone() {
        let (mine, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let token = write(mine, 300);
        assert!(matches!(read(mine, &token), Some(Read::Mine(300))));
        assert!(matches!(read(other, &token), Some(Read::Foreign)));
        for nonsense in ["", "300", "!", &token[1..], &write(mine, -1)] {
            assert!(read(mine, nonsense).is_none(), "{nonsense}");
        }
    }
}
