//! JSON strings and their escapes (RFC 8259 §7).

use std::borrow::Cow;

use super::lexer::{Lexer, Read};

impl<'a> Lexer<'a> {
    /// Consumes a string.
    pub(crate) fn string(&mut self) -> Read<Cow<'a, str>> {
        self.at += 1;
        let start = self.at;
        self.plain();
        if self.text.as_bytes().get(self.at) == Some(&b'"') {
            self.at += 1;
            return Ok(Cow::Borrowed(&self.text[start..self.at - 1]));
        }
        let mut unescaped = String::from(&self.text[start..self.at]);
        loop {
            match self.text.as_bytes().get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(unescaped));
                }
                Some(b'\\') => {
                    self.at += 1;
                    unescaped.push(self.escape()?);
                }
                Some(_) => return self.malformed("a control character stands in a string"),
                None => return self.malformed("a string is not closed"),
            }
            let from = self.at;
            self.plain();
            unescaped.push_str(&self.text[from..self.at]);
        }
    }

    /// Skips what stands for itself in a string.
    fn plain(&mut self) {
        let bytes = self.text.as_bytes();
        while let Some(byte) = bytes.get(self.at) {
            if *byte == b'"' || *byte == b'\\' || *byte < 0x20 {
                return;
            }
            self.at += 1;
        }
    }

    fn escape(&mut self) -> Read<char> {
        let escape = self.text.as_bytes().get(self.at).copied();
        let plain = match escape {
            Some(byte @ (b'"' | b'\\' | b'/')) => byte as char,
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return self.malformed("expected an escape"),
        };
        self.at += 1;
        Ok(plain)
    }

    /// `uXXXX`, or two of them that make a surrogate pair. Half a pair is no character, and
    /// protobuf strings hold characters alone.
    fn unicode(&mut self) -> Read<char> {
        let unit = self.hex()?;
        if !(0xd800..0xdc00).contains(&unit) {
            return match char::from_u32(unit) {
                Some(c) => Ok(c),
                None => self.malformed("half of a surrogate pair"),
            };
        }
        if !self.text[self.at..].starts_with("\\u") {
            return self.malformed("half of a surrogate pair");
        }
        self.at += 1;
        let low = self.hex()?;
        if !(0xdc00..0xe000).contains(&low) {
            return self.malformed("half of a surrogate pair");
        }
        match char::from_u32(0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00)) {
            Some(c) => Ok(c),
            None => self.malformed("half of a surrogate pair"),
        }
    }

    fn hex(&mut self) -> Read<u32> {
        let digits = self.text.as_bytes().get(self.at + 1..self.at + 5);
        let mut unit = 0;
        for digit in digits.unwrap_or_default() {
            match (*digit as char).to_digit(16) {
                Some(digit) => unit = unit * 16 + digit,
                None => return self.malformed("expected four hexadecimal digits"),
            }
        }
        if digits.is_none() {
            return self.malformed("expected four hexadecimal digits");
        }
        self.at += 5;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn strings_are_unescaped() {
        let mut lexer = Lexer::new(r#""a\"\\\/\b\f\n\r\té😀\u0000""#);
        assert_eq!(lexer.string().unwrap(), "a\"\\/\u{8}\u{c}\n\r\té😀\0");
        assert!(matches!(
            Lexer::new("\"plain\"").string().unwrap(),
            Cow::Borrowed("plain")
        ));
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn any_string_is_read_back(text in any::<String>()) {
            let json = serde_json::to_string(&text).unwrap();
            let read = Lexer::new(&json).string().unwrap();
            prop_assert_eq!(read, text);
        }
    }
}
