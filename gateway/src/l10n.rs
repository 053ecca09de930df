//! The client's language: which one it prefers, and what a problem reads like in it.

mod catalog;
mod language;

pub use language::Language;

pub(crate) use catalog::{about, detail, page_text, rule, title};
