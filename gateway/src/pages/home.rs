//! `/`: a page for browsers, JSON for everybody else.

use askama::Template;
use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::VARY;
use http::{HeaderMap, HeaderValue, StatusCode};
use serde_json::Value;

use super::{PublicUrl, STYLE, respond, text};
use crate::call::accept;
use crate::config::Config;
use crate::l10n::Language;

/// What `/` answers.
pub(crate) struct Home {
    name: String,
    description: String,
    /// Empty where nobody is shown it.
    version: String,
    /// The reply in JSON, whose `links` the page shows as well.
    root: Value,
    public_url: PublicUrl,
}

impl Home {
    pub(crate) fn new(config: &Config, root: Value, public_url: PublicUrl) -> Self {
        Self {
            name: config.app_name.clone(),
            description: config.app_description.clone(),
            version: config.public_version().unwrap_or_default().to_owned(),
            root,
            public_url,
        }
    }

    /// The page, if the client prefers one; JSON otherwise, whatever it accepts.
    pub(crate) fn respond(&self, headers: &HeaderMap) -> Response {
        let wants_page = accept::choose(headers, &["application/json", "text/html"]).is_ok_and(|chosen| chosen == 1);
        let mut response = match wants_page {
            true => self.page(headers),
            false => Json(&self.root).into_response(),
        };
        response.headers_mut().append(VARY, HeaderValue::from_static("accept"));
        response
    }

    fn page(&self, headers: &HeaderMap) -> Response {
        let language = Language::preferred(headers);
        let text = |key: &str| text(language, key);
        let base = self.public_url.base(headers);
        let links = self.root["links"].as_object().into_iter().flatten();
        let links = links.filter_map(|(name, path)| {
            Some(Link {
                // Relative, so that the page works behind a proxy that puts a prefix before every path.
                path: path.as_str()?.trim_start_matches('/'),
                text: text(&format!("home-link-{name}")),
            })
        });
        let page = Html {
            language: language.tag(),
            style: STYLE,
            name: &self.name,
            description: &self.description,
            what: text("home.what"),
            links_title: text("home.links"),
            links: links.collect(),
            steps_title: text("home.steps"),
            steps: steps(&base)
                .map(|(name, command)| Step {
                    text: text(&format!("home-step-{name}")),
                    command,
                })
                .into(),
            version: format!("{} {}", self.name, self.version).trim_end().to_owned(),
        };
        respond(StatusCode::OK, language, &page)
    }
}

/// What somebody who is new here types first.
fn steps(base: &str) -> [(&'static str, String); 3] {
    let json = "-H 'content-type: application/json'";
    let token = "-H \"authorization: Bearer $TOKEN\"";
    [
        (
            "register",
            format!(
                "curl -s {base}/api/v1/auth/register {json} \\\n  -d '{{\"username\": \"ada\", \"email\": \
                 \"ada@example.org\", \"password\": \"a long sentence of mine\"}}'"
            ),
        ),
        (
            "token",
            format!(
                "TOKEN=$(curl -s {base}/api/v1/auth/login {json} \\\n  -d '{{\"username\": \"ada\", \"password\": \"a \
                 long sentence of mine\"}}' \\\n  | sed 's/.*\"access_token\":\"\\([^\"]*\\)\".*/\\1/')"
            ),
        ),
        (
            "todo",
            format!(
                "curl -s {base}/api/v1/todos {token} {json} \\\n  -d '{{\"title\": \"Look around\"}}'\ncurl -s \
                 {base}/api/v1/todos {token}"
            ),
        ),
    ]
}

#[derive(Template)]
#[template(path = "home.html")]
struct Html<'a> {
    language: &'static str,
    style: &'static str,
    name: &'a str,
    description: &'a str,
    what: String,
    links_title: String,
    links: Vec<Link<'a>>,
    steps_title: String,
    steps: Vec<Step>,
    version: String,
}

struct Link<'a> {
    path: &'a str,
    text: String,
}

struct Step {
    text: String,
    command: String,
}
