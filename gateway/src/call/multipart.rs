//! The file of a form, as browsers upload it (`multipart/form-data`, RFC 7578).

use axum::body::Body;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use http::{HeaderMap, header};
use multer::{Error, Field, Multipart};

use super::content;
use crate::problem::Problem;
use crate::transcode::violations::repeated;

/// The field that the file is in.
pub(crate) const FILE: &str = "file";

/// The file on its way.
pub(super) struct File {
    pub(super) content_type: Option<String>,
    pub(super) pieces: BoxStream<'static, Result<Bytes, Problem>>,
}

/// Whether the body is such a form.
pub(super) fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let media = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default();
    media.trim().eq_ignore_ascii_case("multipart/form-data")
}

/// Reads up to the file of the form. Its pieces end with an error unless the form ends after it.
///
/// # Errors
/// 422 for a form of other fields, 400 for one that is malformed.
pub(super) async fn open(headers: &HeaderMap, body: Body) -> Result<File, Problem> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let boundary = multer::parse_boundary(kind.unwrap_or_default()).map_err(|error| broken(&error))?;
    let mut form = Multipart::new(body.into_data_stream(), boundary);
    let file = form.next_field().await.map_err(|error| broken(&error))?;
    let file = file.ok_or_else(|| Problem::field(FILE, "REQUIRED", "is required"))?;
    check_name(&file)?;
    let content_type = content_type(&file);
    let pieces = stream::try_unfold((form, Some(file)), async |(mut form, file)| {
        let Some(mut file) = file else { return Ok(None) };
        if let Some(piece) = file.chunk().await.map_err(|error| broken(&error))? {
            return Ok(Some((piece, (form, Some(file)))));
        }
        // The form cannot be read on while its field is there.
        drop(file);
        match form.next_field().await.map_err(|error| broken(&error))? {
            Some(other) if other.name() == Some(FILE) => {
                Err(Problem::field(FILE, "REPEATED_MAX_ITEMS", "must have at most 1 item"))
            }
            Some(other) => Err(unknown(&other)),
            None => Ok(None),
        }
    });
    Ok(File {
        content_type,
        pieces: pieces.boxed(),
    })
}

fn check_name(field: &Field<'_>) -> Result<(), Problem> {
    match field.name() {
        Some(FILE) => Ok(()),
        _ => Err(unknown(field)),
    }
}

fn unknown(field: &Field<'_>) -> Problem {
    let name = repeated(field.name().unwrap_or_default()).into_owned();
    Problem::field(
        name,
        "UNKNOWN",
        "is not a field of the form: it has the file alone, as `file`",
    )
}

/// The type that the form names, or the one that goes with the name of the file.
fn content_type(file: &Field<'_>) -> Option<String> {
    let named = file.content_type().map(ToString::to_string);
    let extension = file.file_name().and_then(|name| name.rsplit_once('.'));
    let guessed = match extension
        .map(|(_, extension)| extension.to_ascii_lowercase())
        .as_deref()
    {
        Some("csv") => Some("text/csv"),
        Some("json") => Some("application/json"),
        _ => None,
    };
    match (&named, guessed) {
        (Some(named), Some(guessed)) if named == "application/octet-stream" => Some(guessed.to_owned()),
        (None, Some(guessed)) => Some(guessed.to_owned()),
        _ => named,
    }
}

fn broken(error: &Error) -> Problem {
    match error {
        Error::StreamReadFailed(error) => content::unread(&**error),
        _ => Problem::bad_request("multipart", "the form is malformed, or it breaks off"),
    }
}
