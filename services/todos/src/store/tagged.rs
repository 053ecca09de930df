//! The tags of a todo, as one column: an aggregate that both databases have.

use serde::Deserialize;
use sqlx::types::Json;
use uuid::Uuid;

use crate::domain::TagRef;

/// A tag: its id and its name.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Named(pub(super) Uuid, pub(super) String);

/// The column. PostgreSQL aggregates no rows to null, SQLite to an empty array.
pub(super) type Tagged = Option<Json<Vec<Named>>>;

impl From<Named> for TagRef {
    fn from(Named(id, name): Named) -> Self {
        Self { id, name }
    }
}

/// The tags in the column.
pub(super) fn tags(column: Tagged) -> Vec<TagRef> {
    column
        .map(|Json(tags)| tags.into_iter().map(TagRef::from).collect())
        .unwrap_or_default()
}
