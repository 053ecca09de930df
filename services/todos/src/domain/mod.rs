//! Types and rules of todos and tags; nothing here knows of protos or SQL.

mod change;
mod description;
mod edit;
mod limits;
mod list;
mod priority;
mod tag;
mod title;
mod todo;
mod transfer;
mod user_event;

pub use change::{Change, ChangeKind, FeedPage, Next, Recorded, Subject};
pub use description::Description;
pub use edit::Edit;
pub use limits::Limits;
pub use list::{Filter, Key, Order, Sort, SortValue};
pub use priority::Priority;
pub use tag::{Tag, TagName, TagRef, name_key, numbered_name};
pub use title::Title;
pub use todo::{NewTodo, Todo};
pub use transfer::{DueKey, DueTodo, ImportedTodo, imported_id};
pub use user_event::{UserEvent, UserEventKind};
