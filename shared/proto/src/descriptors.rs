//! The contracts as data.

use std::sync::LazyLock;

use prost::Message as _;
use prost_reflect::DescriptorPool;
use prost_reflect::prost_types::FileDescriptorSet;

/// The encoded `FileDescriptorSet` of every contract, imports and comments included.
pub const BYTES: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

/// The same without comments.
const BARE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/bare.bin"));

/// The pool of every contract, custom options included. It has no comments, which would take two thirds
/// of its memory in each process: see [`documented`].
#[expect(
    clippy::expect_used,
    reason = "the build wrote these bytes and decoded them once already"
)]
pub fn pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> =
        LazyLock::new(|| DescriptorPool::decode(BARE).expect("the embedded descriptors decode"));
    &POOL
}

/// The files of every contract with their comments, decoded at each call, since whoever reads them does so
/// once.
#[expect(
    clippy::expect_used,
    reason = "the build wrote these bytes and decoded them once already"
)]
pub fn documented() -> FileDescriptorSet {
    FileDescriptorSet::decode(BYTES).expect("the embedded descriptors decode")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{self, Access};

    /// Each process keeps the pool as long as it runs.
    #[test]
    fn the_pool_has_no_comments() {
        assert!(
            pool()
                .file_descriptor_protos()
                .all(|file| file.source_code_info.is_none())
        );
        let documented = documented().file;
        assert_eq!(documented.len(), pool().files().len());
        let mut ours = documented.iter().filter(|file| file.name().starts_with("quartet/"));
        assert!(ours.all(|file| file.source_code_info.is_some()));
    }

    #[test]
    fn every_list_has_pages() {
        let methods = pool()
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>());
        let lists = methods.filter(|method| {
            method.name().starts_with("List")
                && matches!(
                    options::access(method),
                    Some(Access::Public | Access::User | Access::Superuser)
                )
        });
        let mut checked = 0;
        for list in lists {
            for field in ["page_size", "page_token"] {
                assert!(
                    list.input().get_field_by_name(field).is_some(),
                    "{}: {field}",
                    list.full_name()
                );
            }
            for field in ["has_more", "next_page_token"] {
                assert!(
                    list.output().get_field_by_name(field).is_some(),
                    "{}: {field}",
                    list.full_name()
                );
            }
            checked += 1;
        }
        assert!(checked >= 10, "{checked} lists");
    }
}
