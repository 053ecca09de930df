//! What a store does with tags.

use async_trait::async_trait;
use quartet_store::Context;
use quartet_store::page::{Page, PageResult};
use uuid::Uuid;

use crate::Error;
use crate::domain::{Tag, TagName};

/// Tags. Every function with an `owner` sees only what is theirs.
#[async_trait]
pub trait Tags: Send + Sync {
    /// Makes a tag. The owner may have `limit` of them; calls at once may each be the last one.
    ///
    /// Errors: [`Error::TagNameTaken`], [`Error::QuotaExceeded`].
    async fn insert_tag(&self, tag: &Tag, limit: Option<i64>, cx: &Context) -> Result<(), Error>;

    /// The tag.
    async fn find_tag(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<Option<Tag>, Error>;

    /// The tag of that name, without regard to case.
    async fn find_tag_by_name(&self, owner: Uuid, name: &TagName, cx: &Context) -> Result<Option<Tag>, Error>;

    /// Writes the keys of up to `limit` names that have none, the oldest tags first, and returns how many
    /// there were. A tag whose name is taken, but for the case of its letters, gets a number after it.
    async fn key_names(&self, limit: i64, cx: &Context) -> Result<usize, Error>;

    /// A page of the tags, by name.
    async fn list_tags(&self, owner: Uuid, page: &Page<String>, cx: &Context) -> Result<PageResult<Tag>, Error>;

    /// Renames a tag.
    ///
    /// Errors: [`Error::TagNameTaken`].
    async fn update_tag(&self, owner: Uuid, id: Uuid, name: &TagName, cx: &Context) -> Result<Option<Tag>, Error>;

    /// Deletes a tag and takes it off every todo; whether there was one.
    async fn delete_tag(&self, owner: Uuid, id: Uuid, cx: &Context) -> Result<bool, Error>;
}
