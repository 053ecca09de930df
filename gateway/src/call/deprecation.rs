//! The headers of a method that is superseded: RFC 9745 (`Deprecation`), RFC 8594 (`Sunset`) and
//! RFC 5829 (`successor-version`).

use http::{HeaderName, HeaderValue, header};
use quartet_proto::options::Deprecation;
use time::macros::format_description;
use time::{Date, OffsetDateTime, Time};

/// The headers of a deprecated method.
pub(super) fn headers(deprecation: &Deprecation) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
    let mut headers = Vec::new();
    if !deprecation.since.is_empty() {
        let since = midnight(&deprecation.since)?.unix_timestamp();
        headers.push((HeaderName::from_static("deprecation"), value(format!("@{since}"))?));
    }
    if !deprecation.sunset.is_empty() {
        let format =
            format_description!("[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT");
        let sunset = midnight(&deprecation.sunset)?
            .format(format)
            .map_err(|error| error.to_string())?;
        headers.push((HeaderName::from_static("sunset"), value(sunset)?));
    }
    if !deprecation.link.is_empty() {
        headers.push((
            header::LINK,
            value(format!(
                "<{}>; rel=\"deprecation\"; type=\"text/html\"",
                deprecation.link
            ))?,
        ));
    }
    if !deprecation.successor.is_empty() {
        let successor = format!("<{}>; rel=\"successor-version\"", deprecation.successor);
        headers.push((header::LINK, value(successor)?));
    }
    Ok(headers)
}

fn midnight(day: &str) -> Result<OffsetDateTime, String> {
    Date::parse(day, format_description!("[year]-[month]-[day]"))
        .map(|date| date.with_time(Time::MIDNIGHT).assume_utc())
        .map_err(|_| format!("deprecation: `{day}` is no day such as `2026-01-31`"))
}

fn value(text: String) -> Result<HeaderValue, String> {
    HeaderValue::try_from(&text).map_err(|_| format!("deprecation: `{text}` cannot stand in a header"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_become_the_dates_of_the_standards() {
        let deprecation = Deprecation {
            since: "2026-01-31".to_owned(),
            sunset: "2026-12-31".to_owned(),
            link: "https://example.org/next".to_owned(),
            successor: "/v2/next".to_owned(),
        };
        let headers = headers(&deprecation).unwrap();
        let text: Vec<_> = headers
            .iter()
            .map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()))
            .collect();
        assert_eq!(
            text,
            [
                "deprecation: @1769817600",
                "sunset: Thu, 31 Dec 2026 00:00:00 GMT",
                "link: <https://example.org/next>; rel=\"deprecation\"; type=\"text/html\"",
                "link: </v2/next>; rel=\"successor-version\"",
            ]
        );
        assert!(headers_of("31.1.2026").is_err());
    }

    fn headers_of(since: &str) -> Result<Vec<(HeaderName, HeaderValue)>, String> {
        headers(&Deprecation {
            since: since.to_owned(),
            ..Deprecation::default()
        })
    }
}
