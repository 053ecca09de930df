//! One message of a subject at a time, for queues whose subjects are in order.

use std::collections::{HashMap, VecDeque};

/// What waits behind another one of its lane.
pub(super) struct Lanes<T>(HashMap<String, VecDeque<T>>);

impl<T> Lanes<T> {
    pub(super) fn new() -> Self {
        Self(HashMap::new())
    }

    /// Enters the lane; the item itself when it is free, nothing when the item has to wait.
    pub(super) fn enter(&mut self, lane: &str, item: T) -> Option<T> {
        match self.0.get_mut(lane) {
            Some(waiting) => {
                waiting.push_back(item);
                None
            }
            None => {
                self.0.insert(lane.to_owned(), VecDeque::new());
                Some(item)
            }
        }
    }

    /// Leaves the lane to the next item, or frees it.
    pub(super) fn leave(&mut self, lane: &str) -> Option<T> {
        let next = self.0.get_mut(lane)?.pop_front();
        if next.is_none() {
            self.0.remove(lane);
        }
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lane_lets_one_through_at_a_time_in_order() {
        let mut lanes = Lanes::new();
        assert_eq!(lanes.enter("a", 1), Some(1));
        assert_eq!(lanes.enter("b", 2), Some(2));
        assert_eq!(lanes.enter("a", 3), None);
        assert_eq!(lanes.enter("a", 4), None);
        assert_eq!(lanes.leave("a"), Some(3));
        assert_eq!(lanes.leave("b"), None);
        assert_eq!(lanes.leave("a"), Some(4));
        assert_eq!(lanes.leave("a"), None);
        assert_eq!(lanes.enter("a", 5), Some(5));
    }
}
