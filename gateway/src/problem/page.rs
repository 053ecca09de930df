//! The page at the `type` of a problem: `/problems/{code}` explains the code.
//!
//! A path of the gateway's own rather than a URN or somebody's web site: it can be opened wherever
//! the gateway can be reached, and it stays the same behind any host name.

use std::sync::LazyLock;

use axum::Json;
use axum::extract::Path;
use http::header::{CACHE_CONTROL, CONTENT_LANGUAGE, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use quartet_proto::descriptors;
use quartet_proto::options::Reason;
use serde_json::{Value, json};

use super::Problem;
use crate::comments::Comments;
use crate::l10n::{self, Language};

/// The URI reference of a reason, such as `/problems/todo_not_found` for `TODO_NOT_FOUND`.
pub(crate) fn reference(reason: &str) -> String {
    format!("/problems/{}", reason.to_ascii_lowercase())
}

/// Explains a code.
pub(crate) async fn show(Path(code): Path<String>, headers: HeaderMap) -> Result<(HeaderMap, Json<Value>), Problem> {
    let language = Language::preferred(&headers);
    let reason = code.to_ascii_uppercase();
    let known = Reason::from_str_name(&format!("REASON_{reason}")).filter(|reason| *reason != Reason::Unspecified);
    let title = known.and_then(|reason| l10n::title(language, reason.code()));
    let (Some(known), Some(title)) = (known, title) else {
        return Err(Problem::new(
            StatusCode::NOT_FOUND,
            Reason::RouteNotFound,
            "there is no problem of this code",
        ));
    };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_LANGUAGE, language.header());
    headers.insert(VARY, HeaderValue::from_static("accept-language"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    let page = json!({"type": reference(&reason), "error_code": code, "title": title, "description": comment(known)});
    Ok((headers, Json(page)))
}

/// The comment of a reason in the proto.
fn comment(reason: Reason) -> &'static str {
    static COMMENTS: LazyLock<Comments> = LazyLock::new(|| Comments::read(descriptors::pool()));
    let all = descriptors::pool().get_enum_by_name("quartet.options.v1.Reason");
    all.and_then(|all| all.get_value_by_name(reason.as_str_name()))
        .map_or("", |value| COMMENTS.enum_value(&value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_code_is_explained() {
        let (_, Json(page)) = show(Path("todo_not_found".into()), HeaderMap::new()).await.unwrap();
        assert_eq!(page["title"], "There is no such todo");
        assert_eq!(page["description"], "No such todo of the caller.");
    }

    #[tokio::test]
    async fn an_unknown_code_is_not_found() {
        for code in ["nonsense", "unspecified", ""] {
            assert_eq!(
                show(Path(code.into()), HeaderMap::new()).await.unwrap_err().status,
                404,
                "{code}"
            );
        }
    }
}
