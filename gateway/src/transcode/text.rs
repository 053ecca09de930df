//! A value written as text: a path segment, a query parameter, a form field, or a JSON string that
//! holds a number.

use std::collections::HashSet;

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use prost_reflect::{DynamicMessage, EnumDescriptor, EnumValueDescriptor, Kind, MessageDescriptor, Value};

use super::known::{Known, known};
use super::violations::Broken;
use super::{mask, time};

/// Padding may be there or not; ProtoJSON takes both.
const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

/// Reads a value of `kind`.
pub(crate) fn value(kind: &Kind, text: &str) -> Result<Value, Broken> {
    Ok(match kind {
        Kind::String => Value::String(text.to_owned()),
        Kind::Bool => match text {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            _ => return Err(Broken::new("TYPE", "must be `true` or `false`")),
        },
        Kind::Bytes => Value::Bytes(bytes(text)?.into()),
        Kind::Enum(descriptor) => Value::EnumNumber(match integer::<i32>(text) {
            Ok(number) => number,
            Err(_) => enum_number(descriptor, text)?,
        }),
        Kind::Message(descriptor) => Value::Message(message(descriptor, text)?),
        kind => number(kind, text)?,
    })
}

/// Reads a number of `kind`, in JSON's grammar; `NaN` and the infinities by name.
pub(crate) fn number(kind: &Kind, text: &str) -> Result<Value, Broken> {
    Ok(match kind {
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(integer(text)?),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(integer(text)?),
        Kind::Uint32 | Kind::Fixed32 => Value::U32(integer(text)?),
        Kind::Uint64 | Kind::Fixed64 => Value::U64(integer(text)?),
        Kind::Float => Value::F32(float(text)?),
        Kind::Double => Value::F64(double(text)?),
        _ => return Err(Broken::new("TYPE", "must not be a number")),
    })
}

/// Reads a number of 32 bits, or the name of what is no number.
pub(crate) fn float(text: &str) -> Result<f32, Broken> {
    Ok(match text {
        "NaN" => f32::NAN,
        "Infinity" => f32::INFINITY,
        "-Infinity" => f32::NEG_INFINITY,
        text => finite(parts(text).and_then(|_| text.parse().ok()), f32::is_finite)?,
    })
}

/// The same of 64 bits.
pub(crate) fn double(text: &str) -> Result<f64, Broken> {
    Ok(match text {
        "NaN" => f64::NAN,
        "Infinity" => f64::INFINITY,
        "-Infinity" => f64::NEG_INFINITY,
        text => finite(parts(text).and_then(|_| text.parse().ok()), f64::is_finite)?,
    })
}

fn finite<F: Copy>(number: Option<F>, is_finite: fn(F) -> bool) -> Result<F, Broken> {
    match number {
        Some(number) if is_finite(number) => Ok(number),
        Some(_) => Err(Broken::new("RANGE", "is too large a number")),
        None => Err(Broken::new("TYPE", "must be a number")),
    }
}

/// Reads a whole number: `3`, `3.0` and `1e2` are, `3.5` is not.
pub(crate) fn integer<I: TryFrom<i128> + std::str::FromStr>(text: &str) -> Result<I, Broken> {
    let not_whole = || Broken::new("TYPE", "must be a whole number");
    let out_of_range = || Broken::new("RANGE", "is out of the range of its type");
    let Parts {
        negative,
        whole,
        fraction,
        exponent,
    } = parts(text).ok_or_else(not_whole)?;
    // Written without point and exponent; `3e0` has one that is zero.
    if fraction.is_empty() && !text.contains(['e', 'E']) {
        return text.parse().or_else(|_| {
            if text == "-0" {
                I::try_from(0).map_err(|_| not_whole())
            } else {
                Err(out_of_range())
            }
        });
    }
    // The number is `digits` with the point `shift` places to the right of its end.
    let mut digits = format!("{whole}{fraction}");
    let mut shift = i64::from(exponent) - i64::try_from(fraction.len()).map_err(|_| out_of_range())?;
    while digits.ends_with('0') {
        digits.pop();
        shift += 1;
    }
    let digits = digits.trim_start_matches('0');
    if digits.is_empty() {
        return I::try_from(0).map_err(|_| out_of_range());
    }
    if shift < 0 {
        return Err(not_whole());
    }
    let length = i64::try_from(digits.len()).map_err(|_| out_of_range())?;
    if length + shift > 20 {
        return Err(out_of_range());
    }
    let scale = 10_i128.pow(u32::try_from(shift).map_err(|_| out_of_range())?);
    let magnitude = digits.parse::<i128>().map_err(|_| out_of_range())? * scale;
    I::try_from(if negative { -magnitude } else { magnitude }).map_err(|_| out_of_range())
}

/// A number in JSON's grammar (RFC 8259 §6), taken apart.
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: i32,
}

fn parts(text: &str) -> Option<Parts<'_>> {
    let (negative, rest) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (mantissa, exponent) = match rest.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => {
            let digits = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            // An exponent that overflows is clamped: the number is then 0 or out of range either
            // way.
            let magnitude = all_digits(digits)?.parse().unwrap_or(1_000_000);
            (
                mantissa,
                if exponent.starts_with('-') {
                    -magnitude
                } else {
                    magnitude
                },
            )
        }
        None => (rest, 0),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, all_digits(fraction)?),
        None => (mantissa, ""),
    };
    let leading_zero = whole.len() > 1 && whole.starts_with('0');
    (!leading_zero).then_some(Parts {
        negative,
        whole: all_digits(whole)?,
        fraction,
        exponent,
    })
}

fn all_digits(text: &str) -> Option<&str> {
    (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())).then_some(text)
}

/// The number of the value that `name` names: by its name in the proto, such as `PRIORITY_HIGH`, or
/// by what is left of it without the prefix that all values have, such as `high`, in any case. A
/// prefix in front, such as that of another enum in `USER_ROLE_USER` for `ROLE_USER`, or a part of
/// the prefix, as in `ROLE_USER` for `USER_ROLE_USER`, changes nothing.
pub(crate) fn enum_number(descriptor: &EnumDescriptor, name: &str) -> Result<i32, Broken> {
    if let Some(value) = descriptor.get_value_by_name(name) {
        return Ok(value.number());
    }
    let upper = name.to_ascii_uppercase().replace('-', "_");
    let prefix = prefix(descriptor);
    let parts = || {
        prefix
            .match_indices('_')
            .map(|(at, _)| &prefix[at + 1..])
            .chain([prefix.as_str()])
    };
    let last_word = prefix.trim_end_matches('_').rsplit('_').next().unwrap_or_default();
    let found = printed(descriptor).find(|value| {
        let full = value.name();
        let Some(short) = full.strip_prefix(&prefix).filter(|_| !prefix.is_empty()) else {
            return full == upper;
        };
        let foreign = upper
            .strip_suffix(short)
            .is_some_and(|rest| rest.ends_with(&format!("_{last_word}_")));
        foreign || parts().any(|part| upper.strip_prefix(part) == Some(short))
    });
    if let Some(value) = found {
        return Ok(value.number());
    }
    const LISTED: usize = 20;
    // The value that stands for none is left out rather than sent.
    let is_meant = |value: &EnumValueDescriptor| value.number() != 0 || !value.name().ends_with("_UNSPECIFIED");
    let names: Vec<_> = printed(descriptor)
        .filter(is_meant)
        .take(LISTED)
        .map(|value| format!("`{}`", value.name()))
        .collect();
    let more = if descriptor.values().len() > LISTED {
        ", …"
    } else {
        ""
    };
    Err(Broken::new(
        "ENUM",
        format!("must be one of {}{more}", names.join(", ")),
    ))
}

/// The values of an enum, under the names that are printed: where several have one number, the first
/// one's.
pub(crate) fn printed(descriptor: &EnumDescriptor) -> impl Iterator<Item = EnumValueDescriptor> + '_ {
    let mut seen = HashSet::new();
    // `EnumDescriptor::values` has them in an order of its own.
    let declared = descriptor.enum_descriptor_proto().value.iter();
    declared
        .filter(move |value| seen.insert(value.number()))
        .filter_map(|value| descriptor.get_value_by_name(value.name()))
}

/// What the names of all values begin with, as style guides of protobuf demand: `PRIORITY_`. Empty
/// where the first value shows none.
fn prefix(descriptor: &EnumDescriptor) -> String {
    let first = printed(descriptor).next();
    let first = first.as_ref().map_or("", |value| value.name());
    let prefix = first.strip_suffix("UNSPECIFIED").unwrap_or_default();
    let common = printed(descriptor).all(|value| value.name().starts_with(prefix));
    if common { prefix.to_owned() } else { String::new() }
}

/// Decodes base64 in the standard or the URL-safe alphabet.
pub(crate) fn bytes(text: &str) -> Result<Vec<u8>, Broken> {
    let engine = if text.contains(['-', '_']) {
        &URL_SAFE
    } else {
        &STANDARD
    };
    engine.decode(text).map_err(|_| Broken::new("FORMAT", "must be base64"))
}

/// Reads one of the messages whose ProtoJSON form is a string or a scalar.
pub(crate) fn message(descriptor: &MessageDescriptor, text: &str) -> Result<DynamicMessage, Broken> {
    let mut message = DynamicMessage::new(descriptor.clone());
    match known(descriptor) {
        Some(Known::Timestamp) => {
            let (seconds, nanos) = time::parse_timestamp(text).ok_or_else(|| {
                Broken::new(
                    "FORMAT",
                    "must be a timestamp in RFC 3339, such as `2026-01-31T12:00:00Z`",
                )
            })?;
            set_span(&mut message, seconds, nanos);
        }
        Some(Known::Duration) => {
            let (seconds, nanos) = time::parse_duration(text)
                .ok_or_else(|| Broken::new("FORMAT", "must be seconds with an `s`, such as `1.5s`"))?;
            set_span(&mut message, seconds, nanos);
        }
        Some(Known::FieldMask) => {
            let paths =
                mask::parse(text).ok_or_else(|| Broken::new("FORMAT", "must be names of fields, such as `a,b.c`"))?;
            message.set_field_by_number(1, Value::List(paths.into_iter().map(Value::String).collect()));
        }
        Some(Known::Wrapper) => {
            if let Some(field) = descriptor.get_field(1) {
                message.set_field(&field, value(&field.kind(), text)?);
            }
        }
        _ => return Err(Broken::new("TYPE", "must be an object")),
    }
    Ok(message)
}

fn set_span(message: &mut DynamicMessage, seconds: i64, nanos: i32) {
    message.set_field_by_number(1, Value::I64(seconds));
    message.set_field_by_number(2, Value::I32(nanos));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_may_be_written_with_a_point_or_an_exponent() {
        for (text, expected) in [
            ("3", 3),
            ("3.0", 3),
            ("1e2", 100),
            ("1.5E1", 15),
            ("-0", 0),
            ("-0.0", 0),
            ("100e-2", 1),
            ("3e0", 3),
            ("0e99999999999", 0),
        ] {
            assert_eq!(number(&Kind::Int32, text), Ok(Value::I32(expected)), "{text}");
        }
        assert_eq!(number(&Kind::Int64, "9223372036854775807"), Ok(Value::I64(i64::MAX)));
        assert_eq!(number(&Kind::Int64, "-9223372036854775808.0"), Ok(Value::I64(i64::MIN)));
        assert_eq!(number(&Kind::Uint64, "18446744073709551615"), Ok(Value::U64(u64::MAX)));
        assert_eq!(number(&Kind::Uint64, "-0"), Ok(Value::U64(0)));
        assert_eq!(
            number(&Kind::Uint64, "1.8446744073709551615e19"),
            Ok(Value::U64(u64::MAX))
        );
    }

    #[test]
    fn fractions_other_grammars_and_numbers_out_of_range_are_refused() {
        for text in [
            "3.5", "0.5", "1e-1", "", "+1", "01", "1.", ".5", " 1", "1 ", "0x1", "1e", "1e+", "NaN", "--1", "1_000",
        ] {
            assert_eq!(number(&Kind::Int32, text).unwrap_err().rule, "TYPE", "{text}");
        }
        for (kind, text) in [
            (Kind::Int32, "2147483648"),
            (Kind::Int32, "1e10"),
            (Kind::Uint32, "-1"),
            (Kind::Uint64, "18446744073709551616"),
            (Kind::Int64, "1e99999999999"),
            (Kind::Float, "3.5e38"),
            (Kind::Double, "1.8e308"),
            (Kind::Double, "-1e9999999999"),
        ] {
            assert_eq!(number(&kind, text).unwrap_err().rule, "RANGE", "{text}");
        }
        for text in ["inf", "nan", "infinity", "+Infinity", "0x1p3", "1.", ".5"] {
            assert!(number(&Kind::Double, text).is_err(), "{text}");
        }
    }

    #[test]
    fn bytes_are_read_in_both_alphabets_with_or_without_padding() {
        for text in ["-_8=", "-_8", "+/8=", "+/8"] {
            assert_eq!(bytes(text).unwrap(), [0xfb, 0xff], "{text}");
        }
        assert!(bytes("a*b").is_err());
        assert!(bytes("-/8").is_err());
    }

    #[test]
    fn an_enum_is_read_by_its_short_name_in_any_case_and_one_role_by_either_spelling() {
        let read = |name: &str, text: &str| {
            let descriptor = quartet_proto::descriptors::pool().get_enum_by_name(name).unwrap();
            enum_number(&descriptor, text).ok()
        };
        for text in ["PRIORITY_HIGH", "priority_high", "HIGH", "high", "High"] {
            assert_eq!(read("quartet.todos.v1.Priority", text), Some(3), "{text}");
        }
        for text in ["csv", "FILE_FORMAT_CSV", "format_csv"] {
            assert_eq!(read("quartet.jobs.v1.FileFormat", text), Some(1), "{text}");
        }
        for role in ["quartet.auth.v1.Role", "quartet.users.v1.UserRole"] {
            for text in ["ROLE_SUPERUSER", "USER_ROLE_SUPERUSER", "superuser"] {
                assert_eq!(read(role, text), Some(2), "{role} {text}");
            }
            for text in ["user", "role_user", "user_role_user"] {
                assert_eq!(read(role, text), Some(1), "{role} {text}");
            }
        }
        for text in [
            "",
            "PRIORITY",
            "PRIORITY_",
            "_HIGH",
            "highest",
            "SUPER_HIGH",
            "ROLE_HIGH",
        ] {
            assert_eq!(read("quartet.todos.v1.Priority", text), None, "{text}");
        }
    }
}
