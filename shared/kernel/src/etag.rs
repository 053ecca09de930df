//! Which version of a resource somebody has seen (AIP-154, RFC 9110 §8.8.3).

use std::fmt;
use std::hash::{Hash, Hasher};

use xxhash_rust::xxh3::Xxh3Default;

use crate::Rule;

/// The version of a resource: a digest of its content, the same in every process and over every
/// database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Etag(u128);

impl Etag {
    /// The version of this content. Changes of the content that are made on purpose change it with
    /// all but certainty; it is no protection against somebody who wants two contents to agree.
    pub fn of(content: &impl Hash) -> Self {
        let mut hasher = Stable(Xxh3Default::new());
        content.hash(&mut hasher);
        Self(hasher.0.digest128())
    }
}

impl fmt::Display for Etag {
    /// The opaque tag, without quotes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// A hasher that hashes numbers alike on every platform.
struct Stable(Xxh3Default);

impl Hasher for Stable {
    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    fn write_u16(&mut self, number: u16) {
        self.write(&number.to_le_bytes());
    }

    fn write_u32(&mut self, number: u32) {
        self.write(&number.to_le_bytes());
    }

    fn write_u64(&mut self, number: u64) {
        self.write(&number.to_le_bytes());
    }

    fn write_u128(&mut self, number: u128) {
        self.write(&number.to_le_bytes());
    }

    fn write_usize(&mut self, number: usize) {
        self.write_u64(number as u64);
    }

    fn write_isize(&mut self, number: isize) {
        self.write_u64((number as i64).cast_unsigned());
    }

    fn finish(&self) -> u64 {
        self.0.digest()
    }
}

/// What a change demands of the resource: that it is as somebody has seen it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Precondition {
    /// The tags of the versions that will do; any version, when `None`.
    tags: Option<Vec<String>>,
}

/// The resource is not as the change demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the resource has changed since")]
pub struct EtagMismatch;

impl Precondition {
    /// Characters of a list of tags at the most.
    const MAX: usize = 1_000;

    /// Parses an etag, or the value of `If-Match` (RFC 9110 §13.1.1): `*`, or one or more tags. The
    /// quotes may be left out of a single one. A tag may be marked as weak, as proxies mark it that
    /// compress a reply. Nothing is no precondition.
    pub fn parse(raw: &str) -> Result<Option<Self>, Rule> {
        let raw = raw.trim_matches([' ', '\t', ',']);
        if raw.len() > Self::MAX {
            let text = format!("must be at most {} characters", Self::MAX);
            return Err(Rule::new("STRING_MAX_LEN", text));
        }
        let wrong = || Rule::new("ETAG", "must be * or etags in quotes, with commas between");
        match raw {
            "" => return Ok(None),
            "*" => return Ok(Some(Self { tags: None })),
            bare if bare.bytes().all(|byte| byte.is_ascii_alphanumeric()) => {
                return Ok(Some(Self {
                    tags: Some(vec![bare.to_owned()]),
                }));
            }
            _ => {}
        }
        let mut tags = Vec::new();
        let mut rest = raw;
        while !rest.is_empty() {
            let quoted = rest.strip_prefix("W/").unwrap_or(rest).strip_prefix('"');
            let (tag, after) = quoted.and_then(|quoted| quoted.split_once('"')).ok_or_else(wrong)?;
            tags.push(tag.to_owned());
            let after = after.trim_start_matches([' ', '\t']);
            rest = match after.strip_prefix(',') {
                Some(next) => next.trim_start_matches([' ', '\t', ',']),
                None if after.is_empty() => after,
                None => return Err(wrong()),
            };
        }
        Ok(Some(Self { tags: Some(tags) }))
    }

    /// Checks the resource, which is there.
    ///
    /// # Errors
    /// When it has another version than the change demands.
    pub fn check(&self, current: Etag) -> Result<(), EtagMismatch> {
        let Some(tags) = &self.tags else { return Ok(()) };
        let current = current.to_string();
        match tags.contains(&current) {
            true => Ok(()),
            false => Err(EtagMismatch),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_etag_does_not_change_from_one_release_to_the_next() {
        let content = (1_u8, "text", vec![Some(-7_i64), None], [9_u8; 16]);
        assert_eq!(Etag::of(&content).to_string(), "aa9a8e312f4deef7c636d3f9076a46d4");
        assert_ne!(Etag::of(&("ab", "c")), Etag::of(&("a", "bc")));
    }

    #[test]
    fn one_tag_of_the_list_will_do_whatever_its_form() {
        let current = Etag::of(&1);
        for will_do in [
            "*".to_owned(),
            current.to_string(),
            format!("\"{current}\""),
            format!("W/\"{current}\""),
            format!("\"other\", W/\"a,b\" ,\"{current}\""),
        ] {
            let precondition = Precondition::parse(&will_do).unwrap().unwrap();
            assert_eq!(precondition.check(current), Ok(()), "{will_do}");
        }
        for stale in ["\"\"", "other", "\"other\", W/\"another\""] {
            let precondition = Precondition::parse(stale).unwrap().unwrap();
            assert_eq!(precondition.check(current), Err(EtagMismatch), "{stale}");
        }
        assert_eq!(Precondition::parse("").unwrap(), None);
        for wrong in ["\"a", "a b", "\"a\" \"b\"", "w/\"a\"", "\"a\", *"] {
            assert_eq!(Precondition::parse(wrong).unwrap_err().name, "ETAG", "{wrong}");
        }
    }
}
