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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{self, Access};

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
