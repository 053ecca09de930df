//! Todos that come from a file, and todos that are due.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{NewTodo, TagName};

/// A row of a file that becomes a todo.
#[derive(Debug, Clone)]
pub struct ImportedTodo {
    /// The todo, under the id that its import and line give; its `tag_ids` are empty.
    pub todo: NewTodo,
    /// The tags to put on it; those that the owner lacks are made.
    pub tags: Vec<TagName>,
}

/// A todo that is due.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTodo {
    /// The todo.
    pub id: Uuid,
    /// Whose it is.
    pub user_id: Uuid,
    /// What is to do.
    pub title: String,
    /// When it is due.
    pub due_at: OffsetDateTime,
}

/// Where a todo stands among those that are due.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DueKey {
    /// When it is due, in microseconds since the epoch.
    pub due_at: i64,
    /// Decides ties.
    pub id: Uuid,
}

/// The id of the todo that a line of an import becomes: the same for the same import and line, so
/// that a row takes effect once without a note of it. A UUIDv7 with the time of the import's own,
/// which keeps the order of the lines.
pub fn imported_id(import: Uuid, line: u32) -> Uuid {
    let digest = Sha256::new()
        .chain_update(import.as_bytes())
        .chain_update(line.to_be_bytes())
        .finalize();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&import.as_bytes()[..6]);
    bytes[6] = 0x70 | (line >> 18) as u8 & 0x0f;
    bytes[7] = (line >> 10) as u8;
    bytes[8] = 0x80 | (line >> 4) as u8 & 0x3f;
    bytes[9] = (line << 4) as u8 | digest[0] & 0x0f;
    bytes[10..].copy_from_slice(&digest[1..7]);
    Uuid::from_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_one_id_and_rows_keep_their_order() {
        let import = Uuid::from_u128(0x0190_0000_0000_7000_8000_0000_0000_0001);
        let ids: Vec<Uuid> = [1, 2, 15, 16, 1_023, 1_024, 262_143, 4_000_000]
            .map(|line| imported_id(import, line))
            .into();
        assert!(
            ids.is_sorted() && ids.windows(2).all(|pair| pair[0] != pair[1]),
            "{ids:?}"
        );
        assert!(
            ids.iter()
                .all(|id| id.get_version_num() == 7 && id.get_variant() == uuid::Variant::RFC4122)
        );
        assert_eq!(imported_id(import, 15), ids[2]);
        assert_ne!(imported_id(Uuid::from_u128(import.as_u128() + 1), 15), ids[2]);
    }
}
