//! What cookies are like, as settings have it.

use std::str::FromStr;

/// What names of cookies begin with (RFC 6265bis §4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CookiePrefix {
    /// Nothing.
    None,
    /// `__Secure-`: a browser takes such cookies over HTTPS alone.
    Secure,
    /// `__Host-`: besides, from the host itself alone, and for all of its paths.
    Host,
}

impl CookiePrefix {
    /// The text itself.
    pub fn text(self) -> &'static str {
        match self {
            Self::None => "",
            Self::Secure => "__Secure-",
            Self::Host => "__Host-",
        }
    }
}

impl FromStr for CookiePrefix {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "none" => Ok(Self::None),
            "secure" => Ok(Self::Secure),
            "host" => Ok(Self::Host),
            _ => Err("expected none, secure or host".into()),
        }
    }
}

/// Whether a browser sends a cookie with requests that pages of other sites make.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameSite {
    /// When it goes to the page.
    Lax,
    /// Never.
    Strict,
    /// Always.
    None,
}

impl SameSite {
    /// The value of the attribute.
    pub fn text(self) -> &'static str {
        match self {
            Self::Lax => "Lax",
            Self::Strict => "Strict",
            Self::None => "None",
        }
    }
}

impl FromStr for SameSite {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.to_ascii_lowercase().as_str() {
            "lax" => Ok(Self::Lax),
            "strict" => Ok(Self::Strict),
            "none" => Ok(Self::None),
            _ => Err("expected lax, strict or none".into()),
        }
    }
}
