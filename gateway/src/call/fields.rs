//! `?fields=`: which fields of a reply the client wants.

use std::borrow::Cow;

use crate::problem::Problem;
use crate::routes::percent;
use crate::transcode::field_tree::FieldTree;
use crate::transcode::mask;

use super::plan::{FIELDS as NAME, Plan};

/// The fields that the query asks for; `None` where it asks for all.
///
/// # Errors
/// 422 where it names a field that the reply does not have.
pub(super) fn requested(plan: &Plan, query: Option<&str>) -> Result<Option<FieldTree>, Problem> {
    let Some(query) = query.filter(|_| plan.takes_fields) else {
        return Ok(None);
    };
    let mut values = query.split('&').filter_map(value);
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(Problem::field(
            NAME,
            "REPEATED",
            "must be given once, with commas between fields",
        ));
    }
    let text = percent::decode_form(value).unwrap_or_default();
    if text == "*" {
        return Ok(None);
    }
    let paths = mask::parse(&text).filter(|paths| !paths.is_empty());
    let Some(paths) = paths else {
        let rule = "must be names of fields with commas between them, such as `id,title`";
        return Err(Problem::field(NAME, "FIELD_MASK", rule));
    };
    match FieldTree::of(&plan.reply.message, &paths) {
        Ok(tree) => Ok(Some(tree)),
        Err(unknown) => Err(Problem::field(
            NAME,
            "UNKNOWN_FIELD",
            format!(
                "the reply has no field `{}`",
                unknown.chars().take(64).collect::<String>()
            ),
        )),
    }
}

/// The query without the parameter.
pub(super) fn removed<'q>(plan: &Plan, query: &'q str) -> Cow<'q, str> {
    if !plan.takes_fields || !query.contains(NAME) {
        return Cow::Borrowed(query);
    }
    let others: Vec<&str> = query.split('&').filter(|pair| value(pair).is_none()).collect();
    Cow::Owned(others.join("&"))
}

fn value(pair: &str) -> Option<&str> {
    let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
    (name == NAME).then_some(value)
}
