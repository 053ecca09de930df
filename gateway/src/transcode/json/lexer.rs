//! JSON as RFC 8259 defines it, one token at a time and straight from the body.

use std::borrow::Cow;

use crate::transcode::MAX_LEVELS;

/// Where the text stops being JSON, and what would have been.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Malformed {
    pub(crate) at: usize,
    pub(crate) message: &'static str,
}

/// What the next value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Token {
    Object,
    Array,
    String,
    Number,
    True,
    False,
    Null,
}

/// A position in the text.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    pub(crate) text: &'a str,
    pub(crate) at: usize,
    depth: usize,
}

pub(crate) type Read<T> = Result<T, Malformed>;

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    pub(crate) fn malformed<T>(&self, message: &'static str) -> Read<T> {
        Err(Malformed { at: self.at, message })
    }

    fn next_byte(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = bytes.get(self.at) {
            self.at += 1;
        }
        bytes.get(self.at).copied()
    }

    /// What the next value is; nothing is consumed but white space.
    pub(crate) fn peek(&mut self) -> Read<Token> {
        Ok(match self.next_byte() {
            Some(b'{') => Token::Object,
            Some(b'[') => Token::Array,
            Some(b'"') => Token::String,
            Some(b'-' | b'0'..=b'9') => Token::Number,
            Some(b't') => Token::True,
            Some(b'f') => Token::False,
            Some(b'n') => Token::Null,
            Some(_) => return self.malformed("expected a value"),
            None => return self.malformed("expected a value, but the text ends"),
        })
    }

    /// Whether nothing but white space is left.
    pub(crate) fn at_end(&mut self) -> bool {
        self.next_byte().is_none()
    }

    /// Checks that nothing but white space follows.
    pub(crate) fn end(&mut self) -> Read<()> {
        if self.at_end() {
            Ok(())
        } else {
            self.malformed("expected the end of the text")
        }
    }

    /// Consumes `true`, `false` or `null`.
    pub(crate) fn word(&mut self, word: &'static str) -> Read<()> {
        if self.text[self.at..].starts_with(word) {
            self.at += word.len();
            Ok(())
        } else {
            self.malformed("expected `true`, `false` or `null`")
        }
    }

    /// Consumes `{` or `[`.
    pub(crate) fn open(&mut self) -> Read<()> {
        self.depth += 1;
        if self.depth > MAX_LEVELS {
            return self.malformed("nested more than 202 levels deep");
        }
        self.at += 1;
        Ok(())
    }

    /// The next key of an object, with its colon; `None` consumes the `}`.
    pub(crate) fn key(&mut self, first: bool) -> Read<Option<Cow<'a, str>>> {
        match self.next_byte() {
            Some(b'}') => {
                self.at += 1;
                self.depth -= 1;
                return Ok(None);
            }
            Some(b',') if !first => {
                self.at += 1;
                self.next_byte();
            }
            _ if !first => return self.malformed("expected `,` or `}`"),
            _ => {}
        }
        if self.next_byte() != Some(b'"') {
            return self.malformed(if first {
                "expected a key or `}`"
            } else {
                "expected a key"
            });
        }
        let key = self.string()?;
        if self.next_byte() != Some(b':') {
            return self.malformed("expected `:`");
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// Whether an array has another element; `false` consumes the `]`.
    pub(crate) fn element(&mut self, first: bool) -> Read<bool> {
        match self.next_byte() {
            Some(b']') => {
                self.at += 1;
                self.depth -= 1;
                Ok(false)
            }
            Some(b',') if !first => {
                self.at += 1;
                Ok(true)
            }
            Some(_) if first => Ok(true),
            _ => self.malformed("expected `,` or `]`"),
        }
    }

    /// Consumes a number and returns its text.
    pub(crate) fn number(&mut self) -> Read<&'a str> {
        let start = self.at;
        let bytes = self.text.as_bytes();
        let digits = |at: &mut usize| {
            let from = *at;
            while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                *at += 1;
            }
            *at > from
        };
        if bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        let whole = self.at;
        if !digits(&mut self.at) || (bytes[whole] == b'0' && self.at > whole + 1) {
            return self.malformed("expected a number");
        }
        if bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            if !digits(&mut self.at) {
                return self.malformed("expected a digit");
            }
        }
        if let Some(b'e' | b'E') = bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = bytes.get(self.at) {
                self.at += 1;
            }
            if !digits(&mut self.at) {
                return self.malformed("expected a digit");
            }
        }
        Ok(&self.text[start..self.at])
    }

    /// Consumes a value of any kind.
    pub(crate) fn skip(&mut self) -> Read<()> {
        match self.peek()? {
            Token::Object => {
                self.open()?;
                let mut first = true;
                while self.key(first)?.is_some() {
                    first = false;
                    self.skip()?;
                }
                Ok(())
            }
            Token::Array => {
                self.open()?;
                let mut first = true;
                while self.element(first)? {
                    first = false;
                    self.skip()?;
                }
                Ok(())
            }
            Token::String => self.string().map(drop),
            Token::Number => self.number().map(drop),
            Token::True => self.word("true"),
            Token::False => self.word("false"),
            Token::Null => self.word("null"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn skip(text: &str) -> Read<()> {
        let mut lexer = Lexer::new(text);
        lexer.skip()?;
        lexer.end()
    }

    #[test]
    fn what_is_no_json_is_refused_at_its_place() {
        for (text, at) in [
            ("", 0),
            ("{", 1),
            ("[1,]", 3),
            ("{\"a\":1,}", 7),
            ("{\"a\" 1}", 5),
            ("01", 2),
            ("1.", 2),
            ("-", 1),
            ("1e", 2),
            ("tru", 0),
            ("nul", 0),
            ("\"a", 2),
            ("\"\u{1}\"", 1),
            ("\"\\x\"", 2),
            ("\"\\ud800\"", 7),
            ("\"\\udc00\"", 7),
            ("\"\\ud800\\u0041\"", 13),
            ("\"\\u12\"", 2),
            ("{} {}", 3),
            ("[1 2]", 3),
            ("NaN", 0),
            ("'a'", 0),
            ("{a:1}", 1),
            ("\u{feff}{}", 0),
            ("// c", 0),
            ("[,1]", 1),
        ] {
            assert_eq!(skip(text).unwrap_err().at, at, "{text}");
        }
    }

    #[test]
    fn two_hundred_and_two_levels_are_read_and_one_more_is_not() {
        let nested = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert!(skip(&nested(MAX_LEVELS)).is_ok());
        assert_eq!(
            skip(&nested(MAX_LEVELS + 1)).unwrap_err().message,
            "nested more than 202 levels deep"
        );
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn it_takes_what_serde_json_takes(text in r#"[\[\]{}",:0-9eE.+\-truefalsn \\ud]{0,14}"#) {
            let oracle = serde_json::from_str::<serde_json::Value>(&text);
            // serde_json also refuses numbers that no double holds; those are JSON all the same.
            prop_assume!(!matches!(&oracle, Err(error) if error.to_string().starts_with("number out of range")));
            prop_assert_eq!(skip(&text).is_ok(), oracle.is_ok(), "{}", text);
        }
    }
}
