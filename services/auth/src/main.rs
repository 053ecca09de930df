//! The auth service, alone in a process.
fn main() {}
