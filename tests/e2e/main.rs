//! The suite, end to end: one file per part of the interface, each test over both topologies.

mod access_matrix;
mod auth;
mod crash;
mod errors;
mod events;
mod field_rules;
mod gateway;
mod isolation;
mod jobs;
mod live;
mod profiles;
mod tags;
mod telemetry;
mod tiers;
mod todos;
mod tokens;
mod users;
