//! passwords.
