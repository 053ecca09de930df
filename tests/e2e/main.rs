//! The suite, end to end: one file per part of the interface, each test over both topologies.

mod auth;
