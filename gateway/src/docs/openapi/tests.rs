//! The description of the suite, and of a contract made for the test.
