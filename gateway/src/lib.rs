//! REST/JSON in front of gRPC.
pub mod problem;
pub mod routes;
