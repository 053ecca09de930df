//! Which deliveries of a channel are done, in as few acknowledgements as can be.

use std::collections::BTreeSet;

/// One acknowledgement: of this delivery, or of it and all earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ack {
    pub(super) tag: u64,
    pub(super) multiple: bool,
}

/// The deliveries of one channel, whose tags count from 1 (AMQP 0-9-1 §4.8.2).
#[derive(Default)]
pub(super) struct Acks {
    /// All up to this one are acknowledged.
    floor: u64,
    /// Acknowledged above the floor.
    ahead: BTreeSet<u64>,
    /// Done, and not acknowledged yet.
    done: BTreeSet<u64>,
}

impl Acks {
    /// A delivery is done.
    pub(super) fn done(&mut self, tag: u64) {
        self.done.insert(tag);
    }

    /// What is to be acknowledged now. A delivery that is not done is never among what is
    /// acknowledged.
    pub(super) fn take(&mut self) -> Vec<Ack> {
        let mut acks = Vec::new();
        let mut last = None;
        loop {
            let next = self.floor + 1;
            if self.done.remove(&next) {
                last = Some(next);
            } else if !self.ahead.remove(&next) {
                break;
            }
            self.floor = next;
        }
        // The server has forgotten what is acknowledged already, so the last one has to be one that
        // is not.
        acks.extend(last.map(|tag| Ack { tag, multiple: true }));
        for tag in std::mem::take(&mut self.done) {
            acks.push(Ack { tag, multiple: false });
            self.ahead.insert(tag);
        }
        acks
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acknowledge(acks: &mut Acks, done: &[u64]) -> Vec<(u64, bool)> {
        done.iter().for_each(|tag| acks.done(*tag));
        acks.take().into_iter().map(|ack| (ack.tag, ack.multiple)).collect()
    }

    #[test]
    fn what_is_done_in_a_row_is_acknowledged_at_once() {
        let mut acks = Acks::default();
        assert_eq!(acknowledge(&mut acks, &[]), []);
        assert_eq!(acknowledge(&mut acks, &[3, 1, 2]), [(3, true)]);
        assert_eq!(acknowledge(&mut acks, &[]), []);
        assert_eq!(acknowledge(&mut acks, &[4]), [(4, true)]);
    }

    #[test]
    fn one_that_is_not_done_is_passed_over_and_never_acknowledged() {
        let mut acks = Acks::default();
        assert_eq!(acknowledge(&mut acks, &[1, 3, 4]), [(1, true), (3, false), (4, false)]);
        assert_eq!(acknowledge(&mut acks, &[6]), [(6, false)]);
        // 3 and 4 are acknowledged already, and would be unknown to the server.
        assert_eq!(acknowledge(&mut acks, &[2]), [(2, true)]);
        assert_eq!(acknowledge(&mut acks, &[5, 7]), [(7, true)]);
    }
}
