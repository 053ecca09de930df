//! What the contracts declare of each method: who may call it, and how.

use std::collections::HashMap;
use std::sync::Arc;

use quartet_proto::descriptors;
use quartet_proto::options::{self, Access, FreshProof, Idempotency, Reason};
use tonic::Code;

use crate::{Caller, Failure};

/// The policy of every method, by its path, such as `/quartet.todos.v1.TodoService/GetTodo`.
#[derive(Clone)]
pub(crate) struct Policies(Arc<HashMap<String, Arc<Policy>>>);

/// The policy of one method. The default is that of a method that there is not: nobody may call it.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    /// The method's name, such as `quartet.todos.v1.TodoService/GetTodo`; `None` for one that there is not.
    pub(crate) name: Option<Arc<str>>,
    access: Access,
    /// The services that may call it, where only services may.
    callers: Vec<String>,
    pub(crate) streams: Streams,
    pub(crate) idempotency: Idempotency,
    pub(crate) needs_precondition: bool,
    fresh_proof: FreshProof,
    /// Whether calls are counted: those of the standard methods, such as health checks, are not.
    pub(crate) is_limited: bool,
}

/// The suite in one process, which calls in the name of each service.
const SUITE: &str = "quartet";

/// How a method's replies come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Streams {
    /// One reply.
    #[default]
    No,
    /// A file in pieces: it ends by itself, and whoever was let in at its start may have all of it.
    File,
    /// Replies that may go on for as long as anybody listens.
    Endless,
}

impl Policies {
    /// The policies that the contracts declare, and those of health checks and reflection, which
    /// anybody may call.
    pub(crate) fn from_descriptors() -> Self {
        let methods = descriptors::pool()
            .services()
            .flat_map(|service| service.methods().collect::<Vec<_>>());
        let declared = methods.filter_map(|method| {
            let name = format!("{}/{}", method.parent_service().full_name(), method.name());
            let streams = match (method.is_server_streaming(), method.output().full_name()) {
                (false, _) => Streams::No,
                (true, "google.api.HttpBody") => Streams::File,
                (true, _) => Streams::Endless,
            };
            let policy = Policy {
                name: Some(name.as_str().into()),
                access: options::access(&method)?,
                callers: options::callers(&method),
                streams,
                idempotency: options::idempotency(&method),
                needs_precondition: options::precondition_required(&method),
                fresh_proof: options::fresh_proof(&method),
                is_limited: true,
            };
            Some((name, policy))
        });
        let standard = [
            "grpc.health.v1.Health/Check",
            "grpc.health.v1.Health/Watch",
            "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
            "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
        ];
        // They reveal nobody's data, so that nobody's session matters to their streams.
        let standard = standard.into_iter().map(|name| {
            let policy = Policy {
                name: Some(name.into()),
                access: Access::Public,
                ..Policy::default()
            };
            (name.to_owned(), policy)
        });
        let by_path = |(name, policy): (String, Policy)| (format!("/{name}"), Arc::new(policy));
        Self(Arc::new(declared.chain(standard).map(by_path).collect()))
    }

    /// The policy of the method at `path`.
    pub(crate) fn of(&self, path: &str) -> Arc<Policy> {
        self.0.get(path).cloned().unwrap_or_default()
    }
}

impl Policy {
    /// Whether `caller` may call the method.
    pub(crate) fn admit(&self, caller: &Caller) -> Result<(), Failure> {
        let denied = |message: &str| Err(Failure::new(Code::PermissionDenied, Reason::PermissionDenied, message));
        if let Caller::Service(name) = caller
            && self.access == Access::Service
            && !self.takes(name)
        {
            tracing::warn!(
                service = name,
                method = self.name.as_deref(),
                "a service called what is not declared for it"
            );
            return denied("this service may not do this");
        }
        match (self.access, caller) {
            (Access::Unspecified, _) => denied("there is no such method for you"),
            (Access::Public, _) | (Access::User, Caller::User(_)) | (Access::Service, Caller::Service(_)) => Ok(()),
            (Access::Superuser, Caller::User(user)) if user.is_superuser() => Ok(()),
            (Access::User | Access::Superuser | Access::Service, Caller::Anonymous) => Err(Failure::new(
                Code::Unauthenticated,
                Reason::TokenMissing,
                "an access token is required",
            )),
            (Access::Superuser, Caller::User(user)) if user.lacks_second_factor => {
                Err(Failure::second_factor_required())
            }
            (Access::Superuser, Caller::User(_)) => denied("only superusers may do this"),
            (Access::Service, Caller::User(_)) => denied("only services of the suite may do this"),
            (Access::User | Access::Superuser, Caller::Service(_)) => denied("services may not do this"),
        }
    }

    /// Whether the service `name` is a declared caller.
    fn takes(&self, name: &str) -> bool {
        name == SUITE || self.callers.iter().any(|caller| caller == "*" || caller == name)
    }

    pub(crate) fn is_public(&self) -> bool {
        self.access == Access::Public
    }

    pub(crate) fn needs_fresh_proof(&self) -> bool {
        self.fresh_proof == FreshProof::Required
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_method_that_the_contracts_do_not_know_is_denied_to_everybody() {
        let policies = Policies::from_descriptors();
        for caller in [Caller::Anonymous, Caller::Service("todos".into())] {
            let policy = policies.of("/quartet.todos.v1.TodoService/Drop");
            let failure = policy.admit(&caller).unwrap_err();
            assert_eq!(failure.code(), Code::PermissionDenied);
        }
    }

    #[test]
    fn a_service_calls_what_is_declared_for_it_alone() {
        let policies = Policies::from_descriptors();
        let admit = |name: &str, method: &str| {
            let path = format!("/quartet.auth.v1.AuthService/{method}");
            policies.of(&path).admit(&Caller::Service(name.into())).is_ok()
        };
        assert!(admit("users", "PurgeAccount") && admit("quartet", "PurgeAccount"));
        for stranger in ["todos", "jobs", "gateway", "", "*"] {
            assert!(!admit(stranger, "PurgeAccount"), "{stranger}");
        }
        assert!(admit("todos", "WatchRevocations") && admit("gateway", "WatchRevocations"));
        for (path, policy) in policies.0.iter().filter(|(_, policy)| policy.access == Access::Service) {
            assert!(!policy.callers.is_empty(), "{path} names no caller");
        }
    }

    #[test]
    fn every_method_of_the_contracts_has_a_policy() {
        let policies = Policies::from_descriptors();
        for service in descriptors::pool()
            .services()
            .filter(|service| service.full_name().starts_with("quartet."))
        {
            for method in service.methods() {
                let path = format!("/{}/{}", service.full_name(), method.name());
                assert!(policies.0.contains_key(&path), "{path}");
            }
        }
    }
}
