//! Which todos a list shows, and in which order.

use quartet_kernel::Rule;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use uuid::Uuid;

use super::{Priority, Todo};

/// Which todos a list shows: those that pass every filter.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only done, or only open ones.
    pub completed: Option<bool>,
    /// Names of tags, all of which they carry.
    pub tags: Vec<String>,
    /// Text that title or description contains, in lower case.
    pub q: Option<String>,
    /// Due before this time.
    pub due_before: Option<OffsetDateTime>,
    /// Due after this time.
    pub due_after: Option<OffsetDateTime>,
    /// Of this priority.
    pub priority: Option<Priority>,
    /// Deleted ones instead of those that are there.
    pub deleted: bool,
}

/// What a list is ordered by; ties by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// When a todo was made.
    CreatedAt,
    /// When it last changed.
    UpdatedAt,
    /// When it is due; those without a date come last either way.
    DueAt,
    /// How pressing it is.
    Priority,
    /// Its title, without regard to case.
    Title,
}

/// An order and its direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// What it compares.
    pub sort: Sort,
    /// The largest first.
    pub descending: bool,
}

/// Where a todo stands in an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Key {
    /// What the order compares.
    pub value: SortValue,
    /// Decides ties.
    pub id: Uuid,
}

/// What an order compares.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum SortValue {
    /// Microseconds since the epoch.
    Time(i64),
    /// No due date.
    Never,
    /// A priority's number.
    Priority(i16),
    /// A title in lower case.
    Title(String),
}

impl Order {
    /// Parses an order: a field, with a leading `-` for the largest first; empty is the newest
    /// first.
    pub fn parse(text: &str) -> Result<Self, Rule> {
        let (name, descending) = match text.strip_prefix('-') {
            Some(name) => (name, true),
            None => (text, false),
        };
        let sort = match name {
            "" if text.is_empty() => {
                return Ok(Self {
                    sort: Sort::CreatedAt,
                    descending: true,
                });
            }
            "created_at" => Sort::CreatedAt,
            "updated_at" => Sort::UpdatedAt,
            "due_at" => Sort::DueAt,
            "priority" => Sort::Priority,
            "title" => Sort::Title,
            _ => {
                let text = "must be created_at, updated_at, due_at, priority or title, \
                            with - in front for the other way round";
                return Err(Rule::new("STRING_IN", text));
            }
        };
        Ok(Self { sort, descending })
    }

    /// Where `todo` stands in this order.
    pub fn key(self, todo: &Todo) -> Key {
        let micros = |time: OffsetDateTime| SortValue::Time((time.unix_timestamp_nanos() / 1_000) as i64);
        let value = match self.sort {
            Sort::CreatedAt => micros(todo.created_at),
            Sort::UpdatedAt => micros(todo.updated_at),
            Sort::DueAt => todo.due_at.map_or(SortValue::Never, micros),
            Sort::Priority => SortValue::Priority(todo.priority.number()),
            Sort::Title => SortValue::Title(todo.title.to_lowercase()),
        };
        Key { value, id: todo.id }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_reads_with_and_without_a_minus() {
        assert_eq!(
            Order::parse("due_at").unwrap(),
            Order {
                sort: Sort::DueAt,
                descending: false
            }
        );
        assert_eq!(
            Order::parse("-title").unwrap(),
            Order {
                sort: Sort::Title,
                descending: true
            }
        );
        assert_eq!(
            Order::parse("").unwrap(),
            Order {
                sort: Sort::CreatedAt,
                descending: true
            }
        );
        for wrong in ["-", "id", "--title", "title desc"] {
            assert!(Order::parse(wrong).is_err(), "{wrong}");
        }
    }
}
