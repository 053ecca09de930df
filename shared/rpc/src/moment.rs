//! `google.protobuf.Timestamp` ↔ moments.

use prost_types::Timestamp;
use quartet_kernel::Rule;
use time::OffsetDateTime;

/// The moment that a timestamp names, cut to microseconds, which is what stores keep; none for an unset one.
///
/// Errors: a timestamp outside the years 1 to 9999, or with nanoseconds outside 0 to 999,999,999.
pub fn parse(timestamp: Option<&Timestamp>) -> Result<Option<OffsetDateTime>, Rule> {
    let Some(Timestamp { seconds, nanos }) = timestamp else {
        return Ok(None);
    };
    let wrong = || Rule::new("TIMESTAMP", "must be a moment of the years 1 to 9999");
    let nanos = u32::try_from(*nanos)
        .ok()
        .filter(|nanos| *nanos < 1_000_000_000)
        .ok_or_else(wrong)?;
    let moment = OffsetDateTime::from_unix_timestamp(*seconds).map_err(|_| wrong())?;
    if moment.year() < 1 {
        return Err(wrong());
    }
    moment
        .replace_nanosecond(nanos / 1_000 * 1_000)
        .map(Some)
        .map_err(|_| wrong())
}

/// The timestamp of a moment.
pub fn to_proto(moment: OffsetDateTime) -> Timestamp {
    // Nanoseconds of a second fit.
    Timestamp {
        seconds: moment.unix_timestamp(),
        nanos: moment.nanosecond() as i32,
    }
}
