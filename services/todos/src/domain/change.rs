//! What happened to a user's todos, as their feed keeps it.

use time::OffsetDateTime;
use uuid::Uuid;

use super::{TagRef, Todo};

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// A todo was made.
    Created,
    /// Fields of a todo were written.
    Updated,
    /// A todo was marked as done.
    Completed,
    /// A todo was marked as not done.
    Reopened,
    /// A todo was deleted softly.
    Deleted,
    /// A deleted todo was brought back.
    Restored,
    /// A todo was deleted for good.
    Purged,
    /// A tag was renamed.
    TagRenamed,
    /// A tag was deleted.
    TagDeleted,
}

impl ChangeKind {
    const ALL: [Self; 9] = [
        Self::Created,
        Self::Updated,
        Self::Completed,
        Self::Reopened,
        Self::Deleted,
        Self::Restored,
        Self::Purged,
        Self::TagRenamed,
        Self::TagDeleted,
    ];

    /// The number that stores keep.
    pub fn number(self) -> i16 {
        match self {
            Self::Created => 1,
            Self::Updated => 2,
            Self::Completed => 3,
            Self::Reopened => 4,
            Self::Deleted => 5,
            Self::Restored => 6,
            Self::Purged => 7,
            Self::TagRenamed => 8,
            Self::TagDeleted => 9,
        }
    }

    /// The kind of that number.
    pub fn from_number(number: i16) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.number() == number)
    }
}

/// A change, as it is appended to the feed.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// What happened.
    pub kind: ChangeKind,
    /// The todo or the tag that changed.
    pub subject_id: Uuid,
    /// What it is after the change.
    pub subject: Subject,
}

/// What changed, as it is after the change.
#[derive(Debug, Clone, PartialEq)]
pub enum Subject {
    /// A todo.
    Todo(Box<Todo>),
    /// A tag.
    Tag(TagRef),
    /// It was deleted for good, then or since.
    Gone,
}

impl Change {
    /// A change of a todo that is still there.
    pub fn of(kind: ChangeKind, todo: &Todo) -> Self {
        Self {
            kind,
            subject_id: todo.id,
            subject: Subject::Todo(Box::new(todo.clone())),
        }
    }

    /// A todo was deleted for good.
    pub fn purged(id: Uuid) -> Self {
        Self {
            kind: ChangeKind::Purged,
            subject_id: id,
            subject: Subject::Gone,
        }
    }

    /// A change of a tag.
    pub fn of_tag(kind: ChangeKind, id: Uuid, name: &str) -> Self {
        let name = name.to_owned();
        Self {
            kind,
            subject_id: id,
            subject: Subject::Tag(TagRef { id, name }),
        }
    }
}

/// A change, as the feed keeps it.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    /// Its number in the owner's feed, from 1, without a gap.
    pub position: i64,
    /// When it happened.
    pub at: OffsetDateTime,
    /// What happened.
    pub change: Change,
}

/// A page of a feed.
#[derive(Debug, Clone, PartialEq)]
pub struct FeedPage {
    /// Number of the newest change of the feed.
    pub head: i64,
    /// The changes after the requested position, in order.
    pub changes: Vec<Recorded>,
}

/// What follows for a reader at a position of a [`FeedPage`] that was read from there.
#[derive(Debug, Clone, PartialEq)]
pub enum Next {
    /// Nothing has happened since.
    CaughtUp,
    /// These changes, without a gap.
    Changes(Vec<Recorded>),
    /// What followed the position is no longer kept; reading goes on after this one.
    Lost(i64),
}

impl FeedPage {
    /// What follows `position`. Numbers have no gaps, so whatever is missing has been pruned, and a
    /// position past the head is from another history of the database.
    pub fn after(mut self, position: i64) -> Next {
        if self.changes.is_empty() {
            return match self.head == position {
                true => Next::CaughtUp,
                false => Next::Lost(self.head),
            };
        }
        let whole = (position + 1..)
            .zip(&self.changes)
            .take_while(|(expected, found)| found.position == *expected)
            .count();
        self.changes.truncate(whole);
        match whole {
            0 => Next::Lost(self.head),
            _ => Next::Changes(self.changes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(head: i64, positions: &[i64]) -> FeedPage {
        let recorded = |position: &i64| Recorded {
            position: *position,
            at: OffsetDateTime::UNIX_EPOCH,
            change: Change::purged(Uuid::nil()),
        };
        FeedPage {
            head,
            changes: positions.iter().map(recorded).collect(),
        }
    }

    fn positions(next: Next) -> Vec<i64> {
        match next {
            Next::Changes(changes) => changes.iter().map(|change| change.position).collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn numbers_of_kinds_come_back_as_they_were() {
        for kind in ChangeKind::ALL {
            assert_eq!(ChangeKind::from_number(kind.number()), Some(kind));
        }
        assert_eq!(ChangeKind::from_number(0), None);
    }

    #[test]
    fn changes_follow_one_another_up_to_the_first_gap() {
        assert_eq!(positions(page(5, &[3, 4, 5]).after(2)), [3, 4, 5]);
        assert_eq!(positions(page(5, &[3, 5]).after(2)), [3]);
        assert_eq!(page(5, &[]).after(5), Next::CaughtUp);
    }

    #[test]
    fn what_was_pruned_is_noticed_and_so_is_a_position_from_elsewhere() {
        assert_eq!(page(5, &[4, 5]).after(2), Next::Lost(5));
        assert_eq!(page(5, &[]).after(2), Next::Lost(5));
        assert_eq!(page(5, &[]).after(9), Next::Lost(5));
    }
}
