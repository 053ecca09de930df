//! The contracts of the suite, compiled from `proto/`.
//!
//! Reading order: the generated modules (one per proto package), then [`descriptors`] (the same
//! contracts as data, for the gateway, reflection and the access layer), [`bounded`] (the codec of
//! their methods), [`events`] (what travels between services) and [`options`] (what a method
//! declares about itself).

#![expect(
    missing_docs,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    reason = "generated items carry the comments of the protos, and the generator's own attributes"
)]

pub mod bounded;
pub mod descriptors;
pub mod events;
pub mod options;

pub use quartet::{auth, jobs, todos, users};

/// At the depth of their packages: code that names another package does so by a relative path.
mod quartet {
    /// `quartet.auth.v1`
    pub mod auth {
        pub mod v1 {
            tonic::include_proto!("quartet.auth.v1");
        }
    }

    /// `quartet.users.v1`
    pub mod users {
        pub mod v1 {
            tonic::include_proto!("quartet.users.v1");
        }
    }

    /// `quartet.todos.v1`
    pub mod todos {
        pub mod v1 {
            tonic::include_proto!("quartet.todos.v1");
        }
    }

    /// `quartet.jobs.v1`
    pub mod jobs {
        pub mod v1 {
            tonic::include_proto!("quartet.jobs.v1");
        }
    }
}

/// `google.api`: `HttpBody`, and the HTTP rules as messages.
pub mod google {
    pub mod api {
        #![expect(
            clippy::doc_overindented_list_items,
            clippy::doc_lazy_continuation,
            reason = "generated from Google's comments"
        )]
        tonic::include_proto!("google.api");
    }
}

/// `quartet.options.v1`
mod options_v1 {
    tonic::include_proto!("quartet.options.v1");
}
