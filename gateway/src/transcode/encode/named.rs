//! The fields that a body names, as the paths of an update mask.

use super::put;

/// Paths of fields, in the order in which a body names them.
#[derive(Debug, Default)]
pub(crate) struct Named {
    /// Of the field that is being read.
    path: String,
    /// A `google.protobuf.FieldMask`.
    mask: Vec<u8>,
}

impl Named {
    pub(crate) fn is_empty(&self) -> bool {
        self.mask.is_empty()
    }

    /// The bytes of the update mask.
    pub(crate) fn mask(&self) -> &[u8] {
        &self.mask
    }

    /// Grows with each path.
    pub(super) fn len(&self) -> usize {
        self.mask.len()
    }

    /// Steps down to a field; the outcome goes to [`Named::leave`].
    pub(super) fn enter(&mut self, name: &str) -> usize {
        let mark = self.path.len();
        if mark > 0 {
            self.path.push('.');
        }
        self.path.push_str(name);
        mark
    }

    pub(super) fn leave(&mut self, mark: usize) {
        self.path.truncate(mark);
    }

    /// Adds the field that is being read.
    pub(super) fn add(&mut self) {
        put::string(1, &self.path, &mut self.mask);
    }
}
