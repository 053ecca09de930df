//! What a store does with tags.

use async_trait::async_trait;
use quartet_kernel::Deadline;
use quartet_store::page::{Page, Rows};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;
use crate::domain::{Tag, TagName};

/// Tags. Every function sees only what `owner` owns.
#[async_trait]
pub trait Tags: Send + Sync {
    /// Makes a tag.
    ///
    /// Errors: [`Error::TagNameTaken`].
    async fn insert_tag(&self, tag: &Tag, deadline: Deadline) -> Result<(), Error>;

    /// The tag.
    async fn find_tag(&self, owner: Uuid, id: Uuid, deadline: Deadline) -> Result<Option<Tag>, Error>;

    /// The tag of that name.
    async fn find_tag_by_name(&self, owner: Uuid, name: &TagName, deadline: Deadline) -> Result<Option<Tag>, Error>;

    /// A page of the tags, by name.
    async fn list_tags(&self, owner: Uuid, page: &Page<String>, deadline: Deadline) -> Result<Rows<Tag>, Error>;

    /// Renames a tag.
    ///
    /// Errors: [`Error::TagNameTaken`].
    async fn update_tag(
        &self,
        owner: Uuid,
        id: Uuid,
        name: &TagName,
        now: OffsetDateTime,
        deadline: Deadline,
    ) -> Result<Option<Tag>, Error>;

    /// Deletes a tag and takes it off every todo; whether there was one.
    async fn delete_tag(&self, owner: Uuid, id: Uuid, now: OffsetDateTime, deadline: Deadline) -> Result<bool, Error>;
}
