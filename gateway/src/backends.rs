//! Which upstream holds which gRPC service, by the proto package alone.

use std::collections::{BTreeMap, HashMap};

use prost_reflect::{DescriptorPool, ServiceDescriptor};
use quartet_rpc::Upstream;

/// The upstream whose keys and ended sessions decide which tokens are valid, as in every process of
/// the suite.
pub(crate) const AUTH: &str = "auth";

/// The services that people can reach: those with at least one HTTP rule.
pub fn services(pool: &DescriptorPool) -> impl Iterator<Item = ServiceDescriptor> {
    let rule = pool.get_extension_by_name("google.api.http");
    pool.services().filter(move |service| {
        service
            .methods()
            .any(|method| rule.as_ref().is_some_and(|rule| method.options().has_extension(rule)))
    })
}

/// The upstream of a service: the last segment of its package that is no version, such as `todos`
/// for `quartet.todos.v1.TodoService`.
pub fn upstream_name(service: &ServiceDescriptor) -> &str {
    // `package_name` borrows from the file, which outlives the result only through the service's
    // full name.
    let package = service.full_name().rsplit_once('.').map_or("", |(package, _)| package);
    package
        .rsplit('.')
        .find(|segment| !is_version(segment))
        .unwrap_or(package)
}

/// Every reachable service's upstream, by the service's full name. `Err` names a service whose
/// upstream is not there.
pub fn by_service(
    pool: &DescriptorPool,
    upstreams: &BTreeMap<String, Upstream>,
) -> Result<HashMap<String, Upstream>, String> {
    services(pool)
        .map(|service| match upstreams.get(upstream_name(&service)) {
            Some(upstream) => Ok((service.full_name().to_owned(), upstream.clone())),
            None => Err(service.full_name().to_owned()),
        })
        .collect()
}

/// Whether a segment of a package is a version, such as `v1` or `v2beta1`.
pub(crate) fn is_version(segment: &str) -> bool {
    segment
        .strip_prefix('v')
        .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_package_names_the_upstream() {
        let pool = quartet_proto::descriptors::pool();
        let tags = pool.get_service_by_name("quartet.todos.v1.TagService").unwrap();
        assert_eq!(upstream_name(&tags), "todos");
    }

    #[tokio::test]
    async fn a_service_without_an_upstream_is_named() {
        let pool = quartet_proto::descriptors::pool();
        let upstreams = ["auth", "jobs", "users"]
            .map(|name| (name.to_owned(), Upstream::local(name).0))
            .into();
        let missing = by_service(pool, &upstreams).err().unwrap();
        assert!(missing.starts_with("quartet.todos.v1."), "{missing}");
    }
}
