//! The two pages. All that they load comes from the gateway itself, and their content policy allows
//! nothing else.

use axum::response::Html;
use http::HeaderName;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY};

pub(super) const SWAGGER_JS: &str = "swagger-ui-5.35.0.js";
pub(super) const SWAGGER_CSS: &str = "swagger-ui-5.35.0.css";
pub(super) const SWAGGER_START: &str = "swagger-start.js";
pub(super) const REDOC_JS: &str = "redoc-2.5.4.js";
pub(super) const REDOC_START: &str = "redoc-start.js";
pub(super) const FAVICON: &str = "favicon-1.png";

/// Scripts come from files only. Both pages write styles into the document, so styles may stand
/// inline; Redoc searches in a worker that it makes from a blob.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
                      font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

pub(super) type Page = ([(HeaderName, &'static str); 2], Html<String>);

/// Swagger UI, of the API of this name.
pub(super) fn swagger(name: &str) -> Page {
    let head = format!("<link rel=\"stylesheet\" href=\"docs/assets/{SWAGGER_CSS}\">");
    page(name, &head, "<div id=\"page\"></div>", &[SWAGGER_JS, SWAGGER_START])
}

/// Redoc, of the API of this name.
pub(super) fn redoc(name: &str) -> Page {
    page(
        &format!("{name}: reference"),
        "<style>body { margin: 0 }</style>",
        "<div id=\"page\"></div>",
        &[REDOC_JS, REDOC_START],
    )
}

/// Addresses are relative, so that the pages work behind a proxy that puts a prefix before every
/// path.
fn page(title: &str, head: &str, body: &str, scripts: &[&str]) -> Page {
    let title = title.replace('&', "&amp;").replace('<', "&lt;");
    let scripts: String = scripts
        .iter()
        .map(|name| format!("<script src=\"docs/assets/{name}\"></script>\n"))
        .collect();
    let html = format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>{title}</title>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <link rel=\"icon\" type=\"image/png\" href=\"docs/assets/{FAVICON}\">\n{head}\n</head>\n\
         <body>\n{body}\n{scripts}</body>\n</html>\n"
    );
    (
        [(CONTENT_SECURITY_POLICY, POLICY), (CACHE_CONTROL, "no-cache")],
        Html(html),
    )
}
