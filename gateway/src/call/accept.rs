//! Choosing a representation by `Accept` (RFC 9110 §12.5.1).

use http::{HeaderMap, StatusCode, header};
use quartet_proto::options::Reason;

use crate::problem::Problem;

/// The index of the available media type that the client prefers; the first one when it prefers
/// none.
///
/// # Errors
/// 406 `NOT_ACCEPTABLE` when it accepts none of them.
pub(crate) fn choose(headers: &HeaderMap, available: &[&str]) -> Result<usize, Problem> {
    let mut ranges = Vec::new();
    for value in headers.get_all(header::ACCEPT) {
        ranges.extend(value.to_str().unwrap_or_default().split(',').filter_map(range));
    }
    if ranges.is_empty() {
        return Ok(0);
    }
    let mut best: Option<(f32, u8, usize)> = None;
    for (index, media) in available.iter().enumerate() {
        // The most specific range that covers a media type has its weight.
        let Some((specificity, weight)) = ranges
            .iter()
            .filter_map(|range| range.covers(media))
            .max_by(|a, b| a.0.cmp(&b.0))
        else {
            continue;
        };
        let better = best.is_none_or(|(most, precise, _)| weight > most || (weight >= most && specificity > precise));
        if weight > 0.0 && better {
            best = Some((weight, specificity, index));
        }
    }
    best.map(|(_, _, index)| index).ok_or_else(|| {
        Problem::new(
            StatusCode::NOT_ACCEPTABLE,
            Reason::NotAcceptable,
            format!("available are {}", available.join(", ")),
        )
    })
}

struct Range<'a> {
    media: &'a str,
    weight: f32,
}

fn range(text: &str) -> Option<Range<'_>> {
    let mut parts = text.split(';').map(str::trim);
    let media = parts.next().filter(|media| !media.is_empty())?;
    let weight = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"))
        .map_or(1.0, |(_, weight)| weight.trim().parse().unwrap_or(0.0));
    Some(Range { media, weight })
}

impl Range<'_> {
    /// How specific the range is and what it weighs, if it covers `media`.
    fn covers(&self, media: &str) -> Option<(u8, f32)> {
        if self.media.eq_ignore_ascii_case(media) {
            return Some((2, self.weight));
        }
        if self.media == "*/*" || self.media == "*" {
            return Some((0, self.weight));
        }
        let main = self.media.strip_suffix("/*")?;
        media
            .split_once('/')
            .filter(|(kind, _)| kind.eq_ignore_ascii_case(main))
            .map(|_| (1, self.weight))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAMS: [&str; 3] = ["application/json", "application/x-ndjson", "text/event-stream"];

    fn chosen(accept: &str) -> Option<usize> {
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, accept.parse().unwrap());
        choose(&headers, &STREAMS).ok()
    }

    #[test]
    fn weight_comes_first_then_precision_then_the_order_of_the_types() {
        assert_eq!(choose(&HeaderMap::new(), &STREAMS).unwrap(), 0);
        assert_eq!(chosen("*/*"), Some(0));
        assert_eq!(chosen("text/*"), Some(2));
        assert_eq!(chosen("text/event-stream, */*"), Some(2));
        assert_eq!(chosen("application/*;q=0.5, text/event-stream;q=0.4"), Some(0));
        assert_eq!(chosen("application/json;q=0.1, application/x-ndjson"), Some(1));
        assert_eq!(chosen("application/json;q=0, */*;q=0.1"), Some(1));
    }

    #[test]
    fn an_accept_that_excludes_everything_is_refused() {
        for accept in ["text/html", "image/*", "application/json;q=0", "*/*;q=0"] {
            assert_eq!(chosen(accept), None, "{accept}");
        }
    }
}
