//! Which backend is called, and by which path.

use std::collections::HashMap;

use http::uri::PathAndQuery;
use prost_reflect::MethodDescriptor;
use quartet_rpc::Upstream;

/// A method of a backend.
pub(in crate::call) struct Target {
    /// `/package.Service/Method`.
    pub(in crate::call) path: PathAndQuery,
    pub(in crate::call) upstream: Upstream,
}

impl Target {
    pub(super) fn compile(method: &MethodDescriptor, backends: &HashMap<String, Upstream>) -> Result<Self, String> {
        let service = method.parent_service().full_name();
        let upstream = backends
            .get(service)
            .ok_or_else(|| format!("no backend serves `{service}`"))?
            .clone();
        let path = PathAndQuery::try_from(format!("/{service}/{}", method.name()));
        Ok(Self {
            path: path.map_err(|error| error.to_string())?,
            upstream,
        })
    }
}
