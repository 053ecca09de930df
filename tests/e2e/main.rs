//! The suite, end to end: one file per part of the interface, each test over both topologies.

mod auth;
mod errors;
mod gateway;
mod profiles;
mod tags;
mod tiers;
mod todos;
mod tokens;
mod users;
