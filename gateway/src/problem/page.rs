//! The page at the `type` of a problem: `/problems/{code}` explains the code.
//!
//! A path of the gateway's own rather than a URN or somebody's web site: it can be opened wherever
//! the gateway can be reached, and it stays the same behind any host name.

use std::sync::LazyLock;

use axum::Json;
use axum::extract::Path;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_LANGUAGE, VARY};
use http::{HeaderMap, HeaderValue, StatusCode};
use quartet_proto::descriptors;
use quartet_proto::options::Reason;
use serde_json::json;

use super::Problem;
use crate::call::accept;
use crate::comments::Comments;
use crate::l10n::{self, Language};
use crate::pages;

/// The URI reference of a reason, such as `/problems/todo_not_found` for `TODO_NOT_FOUND`.
pub(crate) fn reference(reason: &str) -> String {
    format!("/problems/{}", reason.to_ascii_lowercase())
}

/// Explains a code: a page for browsers, JSON for everybody else.
pub(crate) async fn show(Path(code): Path<String>, headers: HeaderMap) -> Result<Response, Problem> {
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
    let code = code.to_ascii_lowercase();
    let description = match language {
        Language::English => comment(known).to_owned(),
        Language::Russian => l10n::about(language, known.code()).unwrap_or_else(|| title.clone()),
    };
    let wants_page = accept::choose(&headers, &["application/json", "text/html"]).is_ok_and(|chosen| chosen == 1);
    let mut response = if wants_page {
        pages::problem(language, &code, &title, &description)
    } else {
        let page = json!({"type": reference(&reason), "error_code": code, "title": title, "description": description});
        Json(page).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_LANGUAGE, language.header());
    headers.insert(VARY, HeaderValue::from_static("accept, accept-language"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(response)
}

/// The comment of a reason in the proto.
fn comment(reason: Reason) -> &'static str {
    static COMMENTS: LazyLock<Comments> = LazyLock::new(Comments::of_contracts);
    let all = descriptors::pool().get_enum_by_name("quartet.options.v1.Reason");
    all.and_then(|all| all.get_value_by_name(reason.as_str_name()))
        .map_or("", |value| COMMENTS.enum_value(&value))
}

#[cfg(test)]
mod tests {
    use http::HeaderName;
    use http::header::{ACCEPT, ACCEPT_LANGUAGE};
    use http_body_util::BodyExt;
    use serde_json::Value;

    use super::*;

    async fn page(code: &str, headers: &[(HeaderName, &str)]) -> (String, HeaderMap) {
        let headers = headers
            .iter()
            .map(|(name, value)| (name.clone(), value.parse().unwrap()));
        let (parts, body) = show(Path(code.into()), headers.collect()).await.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (String::from_utf8(body.to_vec()).unwrap(), parts.headers)
    }

    #[tokio::test]
    async fn a_code_is_explained() {
        let (text, _) = page("todo_not_found", &[]).await;
        let page: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(page["title"], "There is no such todo");
        assert_eq!(page["description"], "No such todo of the caller.");
    }

    #[tokio::test]
    async fn a_browser_gets_a_page() {
        let (text, headers) = page("todo_not_found", &[(ACCEPT, "text/html,*/*;q=0.8")]).await;
        assert_eq!(headers["content-type"], "text/html; charset=utf-8");
        assert!(headers.contains_key("content-security-policy"));
        assert!(
            text.contains("There is no such todo") && text.contains("<code>todo_not_found</code>"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn what_stands_in_backticks_is_code_on_a_page() {
        for language in ["en", "ru"] {
            let headers = [(ACCEPT, "text/html"), (ACCEPT_LANGUAGE, language)];
            let (text, _) = page("validation_failed", &headers).await;
            assert!(text.contains("<code>errors</code>") && !text.contains('`'), "{text}");
        }
    }

    #[tokio::test]
    async fn a_page_is_wholly_in_the_language_of_its_reader() {
        let reasons = descriptors::pool()
            .get_enum_by_name("quartet.options.v1.Reason")
            .unwrap();
        let russian = |text: &str| text.chars().any(|letter| ('а'..='я').contains(&letter));
        let english = regex::Regex::new("[A-Za-z]{3,}").unwrap();
        for reason in reasons.values().filter(|reason| reason.number() != 0) {
            let code = reason.name().strip_prefix("REASON_").unwrap().to_lowercase();
            let (text, headers) = page(&code, &[(ACCEPT_LANGUAGE, "ru")]).await;
            assert_eq!(headers["content-language"], "ru");
            let page: Value = serde_json::from_str(&text).unwrap();
            for text in [&page["title"], &page["description"]] {
                let text = text.as_str().unwrap();
                assert!(russian(text), "{code}: {text}");
                // Names of headers and fields stay as they are, but no sentence is English.
                assert!(english.find_iter(text).count() <= 4, "{code}: {text}");
            }
        }
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
