//! A plan applied to bytes.

use bytes::Bytes;

use super::cursor::Malformed;
use super::plan::Plan;
use super::write::Writer;
use super::{Failure, check};
use crate::transcode::field_tree::FieldTree;

impl Plan {
    /// Appends the message in `bytes` to `out` as JSON; where there is a mask, only its fields.
    ///
    /// # Errors
    /// Bytes that are no such message, and what has no JSON form.
    pub(crate) fn write(&self, bytes: &Bytes, mask: Option<&FieldTree>, out: &mut Vec<u8>) -> Result<(), Failure> {
        Writer::new(self, out).root(bytes, mask)
    }

    /// Checks that `bytes` are such a message.
    ///
    /// # Errors
    /// What is wrong with them.
    pub(crate) fn check(&self, bytes: &[u8]) -> Result<(), Malformed> {
        check::message(self, self.root, bytes, 0)
    }
}
