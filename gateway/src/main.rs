//! The gateway alone, from settings.
fn main() {}
