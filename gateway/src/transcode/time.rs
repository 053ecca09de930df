//! `Timestamp` and `Duration` as text: RFC 3339 with `Z`, and seconds with `s`.

/// 0001-01-01T00:00:00Z and 9999-12-31T23:59:59Z, the range of `google.protobuf.Timestamp`.
const TIMESTAMPS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;
/// About 10,000 years, the range of `google.protobuf.Duration`.
const MAX_DURATION: i64 = 315_576_000_000;

/// Reads an RFC 3339 timestamp such as `2026-01-31T12:00:00.5+01:00` into seconds and nanoseconds.
pub(crate) fn parse_timestamp(text: &str) -> Option<(i64, i32)> {
    let bytes = text.as_bytes();
    if !text.is_ascii() || bytes.len() < 20 {
        return None;
    }
    for (at, expected) in [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')] {
        if bytes[at] != expected {
            return None;
        }
    }
    let field = |from: usize, to: usize| digits(&text[from..to]);
    let (year, month, day) = (field(0, 4)?, field(5, 7)?, field(8, 10)?);
    let (hour, minute, second) = (field(11, 13)?, field(14, 16)?, field(17, 19)?);
    if !(1..=12).contains(&month) || day < 1 || day > month_days(year, month) || hour > 23 || minute > 59 || second > 59
    {
        return None;
    }
    let mut rest = &text[19..];
    let mut nanos = 0;
    if let Some(fraction) = rest.strip_prefix('.') {
        let length = fraction.find(|c: char| !c.is_ascii_digit())?;
        nanos = nanoseconds(&fraction[..length])?;
        rest = &fraction[length..];
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second - offset(rest)?;
    TIMESTAMPS.contains(&seconds).then_some((seconds, nanos))
}

/// Seconds that `Z` or `+01:00` is ahead of UTC.
fn offset(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let sign = match text.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = text[1..].split_once(':')?;
    if hours.len() != 2 || minutes.len() != 2 {
        return None;
    }
    let (hours, minutes) = (digits(hours)?, digits(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
}

/// Appends a timestamp in UTC, with 0, 3, 6 or 9 digits of fraction; returns whether it is in range.
pub(crate) fn write_timestamp(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> bool {
    if !TIMESTAMPS.contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        return false;
    }
    let (year, month, day) = date(seconds.div_euclid(86_400));
    let time = seconds.rem_euclid(86_400);
    let (century, year) = pair(year / 100, year % 100);
    let (month, day) = pair(month, day);
    let (hour, minute) = pair(time / 3600, time / 60 % 60);
    let (second, _) = pair(time % 60, 0);
    out.extend_from_slice(&[
        century[0], century[1], year[0], year[1], b'-', month[0], month[1], b'-', day[0], day[1], b'T', hour[0],
        hour[1], b':', minute[0], minute[1], b':', second[0], second[1],
    ]);
    fraction(nanos.unsigned_abs(), out);
    out.push(b'Z');
    true
}

/// Two numbers below 100, in two digits each.
fn pair(first: i64, second: i64) -> ([u8; 2], [u8; 2]) {
    let digits = |number: i64| [b'0' + (number / 10) as u8, b'0' + (number % 10) as u8];
    (digits(first), digits(second))
}

/// Reads seconds with `s`, such as `-1.5s`, into seconds and nanoseconds of one sign.
pub(crate) fn parse_duration(text: &str) -> Option<(i64, i32)> {
    let number = text.strip_suffix('s')?;
    let (negative, number) = match number.strip_prefix('-') {
        Some(number) => (true, number),
        None => (false, number),
    };
    let (whole, nanos) = match number.split_once('.') {
        Some((whole, fraction)) => (whole, nanoseconds(fraction)?),
        None => (number, 0),
    };
    if whole.len() > 12 {
        return None;
    }
    let seconds = digits(whole)?;
    if seconds > MAX_DURATION {
        return None;
    }
    Some(if negative { (-seconds, -nanos) } else { (seconds, nanos) })
}

/// Appends a duration with 0, 3, 6 or 9 digits of fraction; returns whether it is in range and its
/// parts have one sign.
pub(crate) fn write_duration(seconds: i64, nanos: i32, out: &mut Vec<u8>) -> bool {
    let mixed = (seconds > 0 && nanos < 0) || (seconds < 0 && nanos > 0);
    if seconds.unsigned_abs() > MAX_DURATION.unsigned_abs() || nanos.unsigned_abs() > 999_999_999 || mixed {
        return false;
    }
    if seconds < 0 || nanos < 0 {
        out.push(b'-');
    }
    out.extend_from_slice(itoa::Buffer::new().format(seconds.unsigned_abs()).as_bytes());
    fraction(nanos.unsigned_abs(), out);
    out.push(b's');
    true
}

fn fraction(nanos: u32, out: &mut Vec<u8>) {
    if nanos == 0 {
        return;
    }
    let digit = |number: u32| b'0' + (number % 10) as u8;
    let digits = |number: u32| [digit(number / 100), digit(number / 10), digit(number)];
    let (millis, micros, nanos) = (nanos / 1_000_000, nanos / 1_000 % 1_000, nanos % 1_000);
    out.push(b'.');
    out.extend_from_slice(&digits(millis));
    if micros != 0 || nanos != 0 {
        out.extend_from_slice(&digits(micros));
    }
    if nanos != 0 {
        out.extend_from_slice(&digits(nanos));
    }
}

fn nanoseconds(fraction: &str) -> Option<i32> {
    if fraction.is_empty() || fraction.len() > 9 {
        return None;
    }
    let scale = 10_i64.pow(u32::try_from(9 - fraction.len()).ok()?);
    i32::try_from(digits(fraction)? * scale).ok()
}

fn digits(text: &str) -> Option<i64> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    text.parse().ok()
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the proleptic Gregorian calendar: years are counted from
/// March, in eras of 400 years.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let of_era = year.rem_euclid(400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// The inverse of [`days`].
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let era = days.div_euclid(146_097);
    let of_era = days.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    (era * 400 + year_of_era + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format_timestamp(seconds: i64, nanos: i32) -> Option<String> {
        let mut out = Vec::new();
        write_timestamp(seconds, nanos, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    fn format_duration(seconds: i64, nanos: i32) -> Option<String> {
        let mut out = Vec::new();
        write_duration(seconds, nanos, &mut out).then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn timestamps_are_read_with_any_offset_and_written_in_utc() {
        assert_eq!(parse_timestamp("1970-01-01T00:00:00Z"), Some((0, 0)));
        assert_eq!(
            parse_timestamp("2026-01-31T01:30:00.25+01:30"),
            Some((1_769_817_600, 250_000_000))
        );
        assert_eq!(
            format_timestamp(1_769_817_600, 250_000_000).unwrap(),
            "2026-01-31T00:00:00.250Z"
        );
        assert_eq!(format_timestamp(-62_135_596_800, 0).unwrap(), "0001-01-01T00:00:00Z");
        assert_eq!(
            format_timestamp(253_402_300_799, 999_999_999).unwrap(),
            "9999-12-31T23:59:59.999999999Z"
        );
        assert_eq!(format_timestamp(0, 1_000).unwrap(), "1970-01-01T00:00:00.000001Z");
        assert_eq!(format_timestamp(253_402_300_800, 0), None);
        assert_eq!(format_timestamp(0, -1), None);
    }

    #[test]
    fn days_and_dates_are_inverse_over_the_whole_range() {
        for day in (-719_162..2_932_897).step_by(17) {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), day);
        }
    }

    #[test]
    fn what_is_no_timestamp_is_refused() {
        for text in [
            "2026-01-31",
            "2026-01-31t00:00:00Z",
            "2026-01-31T00:00:00z",
            "2026-01-31 00:00:00Z",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T00:00:60Z",
            "2026-01-31T00:00:00",
            "0000-01-01T00:00:00Z",
            "2026-01-31T00:00:00.Z",
            "2026-01-31T00:00:00.1234567890Z",
            "2026-01-31T00:00:00+0100",
            "9999-12-31T23:59:59-00:01",
            "2026-01-31T00:00:00Zx",
            "+026-01-31T00:00:00Z",
        ] {
            assert_eq!(parse_timestamp(text), None, "{text}");
        }
    }

    #[test]
    fn durations_keep_their_sign_below_one_second() {
        assert_eq!(parse_duration("-0.5s"), Some((0, -500_000_000)));
        assert_eq!(format_duration(0, -500_000_000).unwrap(), "-0.500s");
        assert_eq!(parse_duration("315576000000s"), Some((MAX_DURATION, 0)));
        for text in ["315576000000.999999999s", "-315576000000.100s"] {
            let (seconds, nanos) = parse_duration(text).unwrap();
            assert_eq!(format_duration(seconds, nanos).unwrap(), text);
        }
        assert_eq!(parse_duration("3.000000001s"), Some((3, 1)));
        assert_eq!(format_duration(1, -1), None);
        assert_eq!(format_duration(0, 10_000).unwrap(), "0.000010s");
        for text in [
            "1",
            "s",
            "-s",
            "1.s",
            ".5s",
            "+1s",
            "1.0000000001s",
            "315576000001s",
            "1e3s",
            " 1s",
        ] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }
}
