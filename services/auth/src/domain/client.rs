//! OAuth 2.0 clients that are configured, and how they prove who they are (RFC 6749 §2.3).

use std::collections::HashMap;
use std::path::PathBuf;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// The client of tokens that no configured client was issued: whoever talks to the suite directly.
pub const OWN_CLIENT: &str = "quartet";

/// A client, as the setting has it: `web=sha256:…`, `web=file:/run/secrets/web` or `web=public`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientSetting {
    id: String,
    proof: Proof,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Proof {
    /// The SHA-256 of its secret, which is too long to be guessed, so that a slow hash would add nothing.
    Digest([u8; 32]),
    /// A file that holds its secret.
    File(PathBuf),
    /// Nothing: it cannot keep a secret, such as a program in a browser.
    Public,
}

/// Characters of a secret at the least.
const SHORTEST: usize = 32;
/// Characters of an id at the most.
const LONGEST_ID: usize = 64;

impl FromStr for ClientSetting {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const RULE: &str = "expected clients with commas, each as `id=sha256:HEX`, the SHA-256 of its secret, \
                            `id=file:PATH` or `id=public`; an id has 1 to 64 letters, digits and `._-`, and is not \
                            `quartet`";
        let (id, proof) = text.split_once('=').ok_or(RULE)?;
        let id = id.trim();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if id.is_empty() || id.len() > LONGEST_ID || id == OWN_CLIENT || !id.chars().all(is_plain) {
            return Err(RULE.into());
        }
        let proof = match proof.trim().split_once(':') {
            Some(("sha256", hex)) => {
                let digest = digest(hex).ok_or(RULE)?;
                // Such as of a variable that was not set when it was hashed.
                if digest == <[u8; 32]>::from(Sha256::digest("")) {
                    return Err(format!("the hash of `{id}` is that of an empty secret"));
                }
                Proof::Digest(digest)
            }
            Some(("file", path)) if !path.is_empty() => Proof::File(path.into()),
            None if proof.trim() == "public" => Proof::Public,
            _ => return Err(RULE.into()),
        };
        Ok(Self {
            id: id.to_owned(),
            proof,
        })
    }
}

fn digest(hex: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if hex.len() != 64 || !hex.is_ascii() {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(&hex[at..at + 2], 16).ok()?;
    }
    Some(digest)
}

/// The clients that are configured.
#[derive(Clone, Default)]
pub struct Clients(HashMap<String, Option<[u8; 32]>>);

impl Clients {
    /// The clients of the setting, whose files are read.
    ///
    /// Errors: a file that cannot be read, a secret that is too short, an id that comes twice.
    pub fn read(settings: &[ClientSetting]) -> Result<Self, String> {
        let mut clients = HashMap::new();
        for ClientSetting { id, proof } in settings {
            let digest = match proof {
                Proof::Digest(digest) => Some(*digest),
                Proof::File(path) => {
                    let shown = path.display();
                    let text = std::fs::read_to_string(path).map_err(|error| format!("{shown}: {error}"))?;
                    let secret = text.trim();
                    if secret.chars().count() < SHORTEST {
                        return Err(format!("{shown}: expected a secret of at least {SHORTEST} characters"));
                    }
                    Some(Sha256::digest(secret).into())
                }
                Proof::Public => None,
            };
            if clients.insert(id.clone(), digest).is_some() {
                return Err(format!("`{id}` comes twice"));
            }
        }
        Ok(Self(clients))
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there is a client of that id.
    pub fn has(&self, id: &str) -> bool {
        self.0.contains_key(id)
    }

    /// Whether some client has a secret.
    pub fn have_secrets(&self) -> bool {
        self.0.values().any(Option::is_some)
    }

    /// Whether some client has none.
    pub fn have_public(&self) -> bool {
        self.0.values().any(Option::is_none)
    }

    /// Whether `secret` proves that the client is `id`. An unknown client takes as long as a known one.
    pub fn accept(&self, id: &str, secret: &str) -> bool {
        let known = self.0.get(id).copied();
        let presented: [u8; 32] = Sha256::digest(secret).into();
        let expected = known.flatten().unwrap_or_default();
        let is_equal: bool = presented.ct_eq(&expected).into();
        match known {
            None => false,
            Some(None) => secret.is_empty(),
            Some(Some(_)) => is_equal && !secret.is_empty(),
        }
    }

    /// Whether the client has a secret.
    pub fn is_confidential(&self, id: &str) -> bool {
        matches!(self.0.get(id), Some(Some(_)))
    }
}

/// The id and the secret in the credentials of HTTP Basic: each is encoded as in a form before they are
/// put together (RFC 6749 §2.3.1).
pub fn of_basic(credentials: &str) -> Option<(String, String)> {
    let text = String::from_utf8(STANDARD.decode(credentials).ok()?).ok()?;
    let (id, secret) = text.split_once(':')?;
    Some((decoded(id)?, decoded(secret)?))
}

/// The text that stands encoded in a form.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                u8::try_from(digit()? * 16 + digit()?).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "0123456789abcdef0123456789abcdef";

    fn hex() -> String {
        Sha256::digest(SECRET)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn clients(texts: &[&str]) -> Result<Clients, String> {
        let settings: Result<Vec<ClientSetting>, String> = texts.iter().map(|text| text.parse()).collect();
        Clients::read(&settings?)
    }

    #[test]
    fn a_client_is_known_by_its_secret_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("worker");
        std::fs::write(&path, format!("{SECRET}\n")).unwrap();
        let (web, worker) = (
            format!("web=sha256:{}", hex()),
            format!("worker=file:{}", path.display()),
        );
        let clients = clients(&[&web, &worker, "page=public"]).unwrap();
        for id in ["web", "worker"] {
            assert!(clients.accept(id, SECRET) && clients.is_confidential(id));
            for wrong in ["", &SECRET[1..], &hex(), "0123456789abcdef0123456789abcdeF"] {
                assert!(!clients.accept(id, wrong), "{id} {wrong}");
            }
        }
        assert!(clients.accept("page", "") && !clients.is_confidential("page"));
        assert!(!clients.accept("page", SECRET));
        assert!(!clients.accept("other", SECRET) && !clients.accept("other", "") && !clients.accept("", ""));
        // What an unknown client is compared with is nobody's secret.
        assert!(!clients.accept("other", "\0"));
    }

    #[test]
    fn a_setting_that_is_wrong_names_what_is_expected() {
        for wrong in [
            "web",
            "web=secret",
            "web=sha256:00",
            &format!("web=sha256:{}", "g".repeat(64)),
            "=public",
            "a b=public",
            "quartet=public",
            "web=file:",
        ] {
            assert!(wrong.parse::<ClientSetting>().is_err(), "{wrong}");
        }
        let empty = "E3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855";
        for hex in [empty, &empty.to_lowercase()] {
            let refused = format!("web=sha256:{hex}").parse::<ClientSetting>().unwrap_err();
            assert!(
                refused.contains("`web`") && refused.contains("empty secret"),
                "{refused}"
            );
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("short");
        std::fs::write(&path, "short").unwrap();
        for wrong in [
            &["web=public", "web=public"][..],
            &["web=file:/no/such/file"],
            &[&format!("web=file:{}", path.display())],
        ] {
            assert!(clients(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_client_with_a_secret_has_to_send_one() {
        let empty = Sha256::digest("").into();
        let clients = Clients(HashMap::from([("web".to_owned(), Some(empty))]));
        assert!(!clients.accept("web", ""));
    }

    #[test]
    fn the_credentials_of_basic_are_encoded_twice() {
        let basic = |text: &str| of_basic(&STANDARD.encode(text));
        assert_eq!(basic("web:a:b"), Some(("web".into(), "a:b".into())));
        assert_eq!(basic("w%65b:a%2Bb+c%25"), Some(("web".into(), "a+b c%".into())));
        for wrong in ["web", "web:%", "web:%f", "web:%zz", "web:%ff"] {
            assert_eq!(basic(wrong), None, "{wrong}");
        }
        assert_eq!(of_basic("no base64"), None);
    }
}
