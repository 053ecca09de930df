//! The API described for people and programs.

pub(crate) mod comments;
pub mod openapi;
