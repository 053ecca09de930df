//! REST/JSON in front of gRPC.
pub mod call;
pub mod problem;
pub mod routes;
mod transcode;

#[cfg(test)]
mod testing;
