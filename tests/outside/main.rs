//! Tools that are not part of the project, against a running suite.
