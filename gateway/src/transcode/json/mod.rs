//! ProtoJSON (<https://protobuf.dev/programming-guides/json/>), read straight from the body and
//! written straight to bytes.
//!
//! `prost-reflect`'s own serde forms are not used: they print maps in random order, refuse `3.0`
//! for an integer and `null` for some fields, take a duplicate key silently, and stop at the first
//! error with no path to it.

pub(super) mod lexer;
mod read;
mod read_known;
mod read_value;
mod string;
mod write;
mod write_known;

use http::StatusCode;
use quartet_proto::options::Reason;

pub(crate) use read::{Reader, Recorded};
pub(crate) use write::{Unwritable, Writer};

use crate::problem::Problem;
use lexer::Malformed;

/// 400 `MALFORMED_JSON` with line and column, both counted from 1; columns are characters.
fn malformed(text: &str, error: &Malformed) -> Problem {
    let before = text.get(..error.at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    let message = format!("line {line}, column {column}: {}", error.message);
    let mut problem = Problem::new(StatusCode::BAD_REQUEST, Reason::MalformedJson, message);
    problem.metadata.insert("expected".to_owned(), error.message.to_owned());
    problem.metadata.insert("line".to_owned(), line.to_string());
    problem.metadata.insert("column".to_owned(), column.to_string());
    problem
}

#[cfg(test)]
mod tests;
