//! The pages that the gateway serves to people: where links in mails lead ([`form`]), and `/` in a
//! browser ([`home`]).
//!
//! Which method has a page, and which of its fields the link fills, is an option of the method
//! (`quartet.options.v1.Page`). The form of a page makes the same call as a client of the REST
//! interface, through the [`crate::call::Transcoder`]: its limits, rules and errors are the same.

mod form;
pub(crate) mod home;
mod public_url;

use std::sync::LazyLock;

use askama::Template;
use axum::response::{Html, IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::header::{CONTENT_LANGUAGE, CONTENT_SECURITY_POLICY, VARY};
use http::{HeaderValue, StatusCode};
use sha2::{Digest, Sha256};

use crate::call::status;
use crate::l10n::{self, Language};
use crate::problem::render::Written;

pub(crate) use form::Forms;
pub(crate) use public_url::PublicUrl;

/// Stands in every page, so that nothing is loaded.
const STYLE: &str = include_str!("../assets/pages.css");

/// The pages have this style and no script, load nothing, and send forms to the gateway alone.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{}'; img-src data:; form-action 'self'; base-uri 'none'; \
         frame-ancestors 'none'",
        STANDARD.encode(Sha256::digest(STYLE.as_bytes()))
    );
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
});

/// A page as the reply.
fn respond(status: StatusCode, language: Language, page: &impl Template) -> Response {
    let Ok(html) = page.render() else {
        return status::internal("a page cannot be written").into_response();
    };
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, POLICY.clone());
    headers.insert(CONTENT_LANGUAGE, language.header());
    headers.append(VARY, HeaderValue::from_static("accept-language"));
    response.extensions_mut().insert(Written);
    response
}

#[derive(Template)]
#[template(path = "problem.html")]
struct ProblemPage<'a> {
    language: &'static str,
    style: &'static str,
    title: &'a str,
    description: Vec<Part<'a>>,
    code_title: String,
    code: &'a str,
}

/// A part of a text: words, or what stands in backticks.
struct Part<'a> {
    text: &'a str,
    is_code: bool,
}

/// The parts of a text of Markdown that has nothing but backticks.
fn parts(text: &str) -> Vec<Part<'_>> {
    let parts = text.split('`').enumerate();
    parts
        .map(|(position, text)| Part {
            text,
            is_code: position % 2 == 1,
        })
        .collect()
}

/// The page that explains a problem.
pub(crate) fn problem(language: Language, code: &str, title: &str, description: &str) -> Response {
    let page = ProblemPage {
        language: language.tag(),
        style: STYLE,
        title,
        description: parts(description),
        code_title: text(language, "problem.code"),
        code,
    };
    respond(StatusCode::OK, language, &page)
}

/// A text of a page, such as `home.links`; the key itself where there is none, which a test rules out.
fn text(language: Language, key: &str) -> String {
    l10n::page_text(language, key).unwrap_or_else(|| key.to_owned())
}

#[cfg(test)]
mod tests;
