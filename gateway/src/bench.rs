//! The transcoder by itself, for the example that counts its instructions. Nothing else uses it, and
//! it promises nothing.

use bytes::Bytes;
use prost_reflect::MessageDescriptor;

use crate::transcode::encode::{Plan, Target};
use crate::transcode::received::Reader;

/// Replies of one type, from the wire to JSON.
pub struct Replies(Reader);

impl Replies {
    /// Replies of this type.
    pub fn of(message: MessageDescriptor) -> Self {
        Self(Reader::json(message, None, Vec::new()))
    }

    /// The JSON of a reply; `None` where it has none.
    pub fn json(&self, wire: Bytes) -> Option<Vec<u8>> {
        let received = self.0.receive(wire).ok()?;
        self.0.write(&received, None).ok()
    }
}

/// Requests whose body is the whole message, from JSON to the wire.
pub struct Requests(Plan);

impl Requests {
    /// Requests of this type; `None` where they are read into messages.
    pub fn of(message: &MessageDescriptor) -> Option<Self> {
        Plan::compile(message, &[]).map(Self)
    }

    /// The message of a body, encoded; `None` where it is not valid.
    pub fn wire(&self, body: &[u8]) -> Option<Vec<u8>> {
        let mut out = Vec::with_capacity(body.len());
        self.0.json(body, Target::Whole, None, &mut out).ok()?;
        Some(out)
    }
}
