//! `google.protobuf.Timestamp` ↔ times.

use prost_types::Timestamp;
use quartet_kernel::Rule;
use time::OffsetDateTime;

/// The time that a timestamp names, cut to microseconds, which is what stores keep; none for an
/// unset one.
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
    let time = OffsetDateTime::from_unix_timestamp(*seconds).map_err(|_| wrong())?;
    if time.year() < 1 {
        return Err(wrong());
    }
    time.replace_nanosecond(nanos / 1_000 * 1_000)
        .map(Some)
        .map_err(|_| wrong())
}

/// The timestamp of a time.
pub fn to_proto(time: OffsetDateTime) -> Timestamp {
    // Nanoseconds of a second fit.
    Timestamp {
        seconds: time.unix_timestamp(),
        nanos: time.nanosecond() as i32,
    }
}
