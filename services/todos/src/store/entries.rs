//! What a unit of work collects for the feeds of its owners, and for the counts that lists show.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::FeedNotifier;
use crate::domain::{Change, NewTodo, TagRef};

/// How the numbers of an owner's todos change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Todos that are not deleted.
    pub(super) live: i64,
    /// Those of them that are done.
    pub(super) completed: i64,
}

impl Counts {
    /// One todo more.
    pub(super) fn more(is_completed: bool) -> Self {
        Self {
            live: 1,
            completed: is_completed.into(),
        }
    }

    /// One todo less.
    pub(super) fn less(is_completed: bool) -> Self {
        Self {
            live: -1,
            completed: -i64::from(is_completed),
        }
    }

    /// A todo that stays, before and after.
    pub(super) fn completed(before: bool, after: bool) -> Self {
        Self {
            live: 0,
            completed: i64::from(after) - i64::from(before),
        }
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, more: Self) {
        self.live += more.live;
        self.completed += more.completed;
    }
}

/// What is to be written to one owner's feed.
#[derive(Default)]
pub(super) struct Entry {
    pub(super) changes: Vec<Change>,
    /// Positions that no change gets, for a write to so many todos that a change for each would be
    /// worth little: whoever follows the feed finds the position missing, and reads all anew.
    pub(super) gap: i64,
    pub(super) counts: Counts,
}

impl Entry {
    /// How far the feed moves on.
    pub(super) fn length(&self) -> i64 {
        self.gap + self.changes.len() as i64
    }
}

/// Todos that the commit makes, all of one owner.
#[derive(Default)]
pub(super) struct NewTodos {
    pub(super) owner: Uuid,
    pub(super) todos: Vec<NewTodo>,
    /// The tags on them, as they were read.
    pub(super) tags: Vec<TagRef>,
}

/// How many todos an owner may have that are not deleted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) owner: Uuid,
    pub(super) todos: i64,
}

/// What a unit of work on todos collects beside its events.
pub(super) struct Entries {
    /// By owner: feeds are locked in this order, so that no two units wait for each other.
    pub(super) feeds: BTreeMap<Uuid, Entry>,
    pub(super) new: NewTodos,
    /// How many todos the owner of the unit may have; nothing is written that would make it more.
    pub(super) limit: Option<Limit>,
    /// The positions that feeds have come to.
    pub(super) heads: Vec<(Uuid, i64)>,
    notifier: FeedNotifier,
}

impl Entries {
    pub(super) fn new(notifier: &FeedNotifier) -> Self {
        Self {
            feeds: BTreeMap::new(),
            new: NewTodos::default(),
            limit: None,
            heads: Vec::new(),
            notifier: notifier.clone(),
        }
    }

    /// Collects a change, and what it does to the owner's counts.
    pub(super) fn record(&mut self, owner: Uuid, change: Change, counts: Counts) {
        let entry = self.feeds.entry(owner).or_default();
        entry.changes.push(change);
        entry.counts += counts;
    }

    /// The owner may have this many todos that are not deleted.
    pub(super) fn limit_todos(&mut self, owner: Uuid, limit: Option<i64>) {
        self.limit = limit.map(|todos| Limit { owner, todos });
    }

    /// Moves the owner's feed on by a position that no change has.
    pub(super) fn skip(&mut self, owner: Uuid) {
        self.feeds.entry(owner).or_default().gap += 1;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.feeds.is_empty() && self.new.todos.is_empty()
    }

    /// Notifies those in this process who follow the feeds.
    pub(super) fn notify(self) {
        for (owner, head) in self.heads {
            self.notifier.advance(owner, head);
        }
    }
}
