//! Where a field is.

/// Where a field is in the bytes of its message. A field that has been set more than once counts as
/// its kind demands: the last scalar, all items of a list, all parts of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    /// How many times the field stands there; a scalar at most once.
    pub(super) count: usize,
    /// Where the value of a scalar begins; of all others, the key of the first one.
    pub(super) from: usize,
    /// Where the last one ends.
    pub(super) to: usize,
}

impl Slot {
    pub(super) const EMPTY: Self = Self {
        count: 0,
        from: 0,
        to: 0,
    };
}
