//! How far the feeds that somebody follows have come, within the process.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::watch;
use uuid::Uuid;

/// The newest change of each owner that somebody follows. Cheap to clone; clones share it.
#[derive(Debug, Clone, Default)]
pub struct FeedNotifier(Arc<Mutex<HashMap<Uuid, watch::Sender<i64>>>>);

/// Follows one owner's feed.
#[derive(Debug)]
pub struct Follower {
    notifier: FeedNotifier,
    owner: Uuid,
    head: watch::Receiver<i64>,
}

impl FeedNotifier {
    /// Notifies the owner's followers that the feed has come to `head`. Nothing is kept for owners
    /// whom nobody follows.
    pub fn advance(&self, owner: Uuid, head: i64) {
        if let Some(sender) = self.0.lock().get(&owner) {
            sender.send_if_modified(|known| {
                let is_ahead = head > *known;
                *known = head.max(*known);
                is_ahead
            });
        }
    }

    /// Follows the owner's feed from now on.
    pub fn follow(&self, owner: Uuid) -> Follower {
        let head = self
            .0
            .lock()
            .entry(owner)
            .or_insert_with(|| watch::Sender::new(0))
            .subscribe();
        Follower {
            notifier: self.clone(),
            owner,
            head,
        }
    }

    /// The owners whom somebody follows.
    pub fn owners(&self) -> Vec<Uuid> {
        self.0.lock().keys().copied().collect()
    }
}

impl Follower {
    /// Waits until the feed has come past `position`.
    pub async fn past(&mut self, position: i64) {
        // The sender lives as long as its followers.
        let _ = self.head.wait_for(|head| *head > position).await;
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        let mut heads = self.notifier.0.lock();
        // This follower still counts as one.
        if heads
            .get(&self.owner)
            .is_some_and(|sender| sender.receiver_count() <= 1)
        {
            heads.remove(&self.owner);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_follower_is_notified_of_its_owner_and_leaves_nothing_behind() {
        let notifier = FeedNotifier::default();
        let owner = Uuid::from_u128(1);
        let mut follower = notifier.follow(owner);
        notifier.advance(Uuid::from_u128(2), 7);
        notifier.advance(owner, 3);
        notifier.advance(owner, 2);
        follower.past(2).await;
        let timeout = tokio::time::timeout(std::time::Duration::from_millis(20), follower.past(3)).await;
        assert!(timeout.is_err());
        let second = notifier.follow(owner);
        drop(follower);
        assert_eq!(notifier.owners(), [owner]);
        drop(second);
        assert!(notifier.owners().is_empty());
    }
}
