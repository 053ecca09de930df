//! The contracts as data.

use std::sync::LazyLock;

use prost_reflect::DescriptorPool;

/// The encoded `FileDescriptorSet` of every contract, imports and comments included.
pub const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The pool that [`BYTES`] decodes to, custom options included.
#[expect(
    clippy::expect_used,
    reason = "the build wrote these bytes and decoded them once already"
)]
pub fn pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(BYTES).expect("the embedded descriptors decode"));
    &POOL
}
