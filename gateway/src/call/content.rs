//! What kind of body a request carries, and reading it.

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError};
use quartet_proto::options::Reason;

use crate::problem::Problem;
use crate::transcode::violations::repeated;

/// The forms of a body that fills messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Json,
    Form,
}

/// The kind of body that `Content-Type` announces; JSON when it is missing.
///
/// # Errors
/// 415 `UNSUPPORTED_MEDIA_TYPE`, which lists what is accepted.
pub(super) fn content(headers: &HeaderMap, method: &Method, form: bool) -> Result<Content, Problem> {
    check_encoding(headers, Some(accepted(form)))?;
    let Some(value) = headers.get(header::CONTENT_TYPE) else {
        return Ok(Content::Json);
    };
    let text = value.to_str().unwrap_or_default();
    let mut parts = text.split(';');
    let media = parts.next().unwrap_or_default().trim().to_ascii_lowercase();
    let utf8 = parts
        .filter_map(|parameter| parameter.split_once('='))
        .all(|(name, value)| {
            !name.trim().eq_ignore_ascii_case("charset") || value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
        });
    let json = media == "application/json" || (media.starts_with("application/") && media.ends_with("+json"));
    match media.as_str() {
        _ if json && utf8 => Ok(Content::Json),
        "application/x-www-form-urlencoded" if form && utf8 => Ok(Content::Form),
        _ => Err(unsupported(text, method, form)),
    }
}

/// Checks that the body comes as it is: `taken` are the media types that it may have, if not any.
///
/// # Errors
/// 415 `UNSUPPORTED_MEDIA_TYPE` with `Accept-Encoding`.
pub(super) fn check_encoding(headers: &HeaderMap, taken: Option<&str>) -> Result<(), Problem> {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    let Some(coding) = codings.find(|coding| !coding.as_bytes().eq_ignore_ascii_case(b"identity")) else {
        return Ok(());
    };
    let coding = String::from_utf8_lossy(coding.as_bytes());
    let message = format!("the body is encoded as `{}`; send it as it is", repeated(&coding));
    let mut problem = Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::UnsupportedMediaType,
        message,
    );
    match taken {
        Some(taken) => problem.metadata.insert("taken".to_owned(), taken.to_owned()),
        None => problem.metadata.insert("cause".to_owned(), "encoding".to_owned()),
    };
    // RFC 9110 §15.5.16
    problem
        .headers
        .push((header::ACCEPT_ENCODING, HeaderValue::from_static("identity")));
    Err(problem)
}

/// The media types that are accepted.
fn accepted(form: bool) -> &'static str {
    if form {
        "application/json, application/x-www-form-urlencoded"
    } else {
        "application/json"
    }
}

fn unsupported(media: &str, method: &Method, form: bool) -> Problem {
    let accepted = accepted(form);
    let mut problem = Problem::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Reason::UnsupportedMediaType,
        format!("the body is `{}`; accepted are {accepted}, in UTF-8", repeated(media)),
    );
    let name = match *method {
        Method::POST => HeaderName::from_static("accept-post"),
        Method::PATCH => HeaderName::from_static("accept-patch"),
        _ => header::ACCEPT,
    };
    problem.headers.push((name, HeaderValue::from_static(accepted)));
    problem.metadata.insert("taken".to_owned(), accepted.to_owned());
    problem
}

/// The header that a client has to send whose JSON came under the type of a form, as curl's `-d`
/// sends it: 415 `UNSUPPORTED_MEDIA_TYPE`. Read as a form, all of it would be the name of a field.
pub(super) fn json_as_form(method: &Method) -> Problem {
    let mut problem = unsupported("application/x-www-form-urlencoded", method, true);
    "the body is JSON; send the header `Content-Type: application/json` with it".clone_into(&mut problem.message);
    problem.metadata.insert("cause".to_owned(), "json-as-form".to_owned());
    problem
}

/// The whole body.
///
/// # Errors
/// See [`unread`].
pub(crate) async fn read(body: Body) -> Result<Bytes, Problem> {
    body.collect()
        .await
        .map(http_body_util::Collected::to_bytes)
        .map_err(|error| unread(&error))
}

/// Why a body could not be read: 413 `BODY_TOO_LARGE` over the edge's limit, else 400
/// `BAD_REQUEST`.
pub(super) fn unread(error: &(dyn std::error::Error + 'static)) -> Problem {
    let mut source = Some(error);
    while let Some(error) = source {
        if error.is::<LengthLimitError>() {
            return Problem::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                Reason::BodyTooLarge,
                "the body is over the limit",
            );
        }
        source = error.source();
    }
    Problem::bad_request("body-unread", "the body could not be read")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(media: &str, form: bool) -> Result<Content, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, media.parse().unwrap());
        content(&headers, &Method::POST, form)
    }

    #[test]
    fn json_and_forms_in_utf8_are_accepted() {
        for media in [
            "application/json",
            "Application/JSON; charset=UTF-8",
            "application/merge-patch+json",
            "application/json;charset=\"utf-8\"",
        ] {
            assert_eq!(of(media, false).unwrap(), Content::Json, "{media}");
        }
        assert_eq!(of("application/x-www-form-urlencoded", true).unwrap(), Content::Form);
        assert_eq!(content(&HeaderMap::new(), &Method::POST, true).unwrap(), Content::Json);
    }

    #[test]
    fn an_encoded_body_is_415() {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_ENCODING, "gzip".parse().unwrap());
        assert_eq!(
            content(&headers, &Method::POST, true).unwrap_err().headers[0].0,
            header::ACCEPT_ENCODING
        );
        headers.insert(header::CONTENT_ENCODING, "identity".parse().unwrap());
        assert!(content(&headers, &Method::POST, true).is_ok());
    }

    #[test]
    fn anything_else_is_415_and_lists_what_is_accepted() {
        for media in [
            "text/plain",
            "application/json; charset=latin1",
            "multipart/form-data",
            "application/xml",
            "",
            "json",
        ] {
            let problem = of(media, true).unwrap_err();
            assert_eq!(problem.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{media}");
            assert_eq!(problem.headers[0].0, "accept-post");
        }
        assert!(of("application/x-www-form-urlencoded", false).is_err());
    }
}
