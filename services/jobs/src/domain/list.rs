//! Which jobs a list shows. Every list is ordered by id, the newest first.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Kind, Status};

/// Which jobs a list shows: those that pass every filter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only this owner's.
    pub owner: Option<Uuid>,
    /// Only those that stand so.
    pub status: Option<Status>,
    /// Only those of this kind.
    pub kind: Option<Kind>,
}

/// Where a row stands in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key(pub Uuid);
