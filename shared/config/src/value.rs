//! The types that a setting may have besides those of the standard library.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A value that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl FromStr for Secret {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(Self(text.to_owned()))
    }
}

/// A length of time, written as a number and a unit: `250ms`, `30s`, `15m`, `12h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span(pub Duration);

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const RULE: &str = "expected a number and a unit (ms, s, m, h or d), such as `30s`";
        let split = text.find(|c: char| !c.is_ascii_digit()).ok_or(RULE)?;
        let (number, unit) = text.split_at(split);
        let number: u64 = number.parse().map_err(|_| RULE)?;
        let milliseconds = match unit {
            "ms" => 1,
            "s" => 1_000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return Err(RULE.into()),
        };
        number
            .checked_mul(milliseconds)
            .map(|total| Self(Duration::from_millis(total)))
            .ok_or_else(|| RULE.into())
    }
}

/// A list, written with commas: `a,b`. Blanks around an item are dropped, and an empty text is an
/// empty list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T: FromStr> FromStr for List<T> {
    type Err = T::Err;

    fn from_str(text: &str) -> Result<Self, T::Err> {
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(T::from_str).collect::<Result<_, _>>().map(Self)
    }
}

/// A size in bytes, written as a number with an optional unit: `512`, `64KiB`, `10MiB`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bytes(pub usize);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const RULE: &str = "expected a number of bytes, or one with KiB or MiB, such as `2MiB`";
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (number, unit) = text.split_at(split);
        let number: usize = number.parse().map_err(|_| RULE)?;
        let factor = match unit {
            "" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            _ => return Err(RULE.into()),
        };
        number.checked_mul(factor).map(Self).ok_or_else(|| RULE.into())
    }
}

/// A number for everybody, and others for the users of tiers: `100`, or `100,pro=1000,free=20`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PerTier {
    everybody: u32,
    tiers: Vec<(String, u32)>,
}

impl PerTier {
    /// The number for a user of this tier, or of none.
    pub fn of(&self, tier: Option<&str>) -> u32 {
        let set = self.tiers.iter().find(|(name, _)| Some(name.as_str()) == tier);
        set.map_or(self.everybody, |(_, number)| *number)
    }
}

impl FromStr for PerTier {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const RULE: &str = "expected a number, and others by tier if you like, such as `100,pro=1000`";
        let number = |text: &str| text.trim().parse().map_err(|_| RULE);
        let mut items = text.split(',');
        let everybody = number(items.next().unwrap_or_default())?;
        let mut tiers: Vec<(String, u32)> = Vec::new();
        for item in items {
            let (tier, limit) = item.split_once('=').ok_or(RULE)?;
            let tier = tier.trim();
            if tier.is_empty() || tiers.iter().any(|(known, _)| known == tier) {
                return Err(RULE.into());
            }
            tiers.push((tier.to_owned(), number(limit)?));
        }
        Ok(Self { everybody, tiers })
    }
}

/// A setting without a default: `Option<T>`.
pub trait Optional {
    /// The type of the value when it is set.
    type Value;
}

impl<T> Optional for Option<T> {
    type Value = T;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_take_a_number_and_a_unit() {
        assert_eq!("15m".parse(), Ok(Span(Duration::from_secs(900))));
        assert_eq!("250ms".parse(), Ok(Span(Duration::from_millis(250))));
        for wrong in [
            "",
            "15",
            "m",
            "1.5s",
            "-1s",
            "99999999999999999999d",
            "18446744073709551615d",
        ] {
            assert!(wrong.parse::<Span>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn sizes_take_binary_units() {
        assert_eq!("2MiB".parse(), Ok(Bytes(2 << 20)));
        assert!("2MB".parse::<Bytes>().is_err());
    }

    #[test]
    fn a_number_may_differ_by_tier() {
        let limits: PerTier = "100, pro=1000,free=0".parse().unwrap();
        let of = [None, Some("pro"), Some("free"), Some("other")].map(|tier| limits.of(tier));
        assert_eq!(of, [100, 1000, 0, 100]);
        for wrong in ["", "pro=1", "1,pro", "1,=2", "1,pro=1,pro=2", "1,pro=-1", "many"] {
            assert!(wrong.parse::<PerTier>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_secret_does_not_print() {
        assert_eq!(format!("{:?}", Secret::new("hunter2")), "…");
    }
}
