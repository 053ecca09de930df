//! The layers that settings come from. A later layer wins: defaults → `.env` → `.env.{ENVIRONMENT}`
//! → environment → secret files.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::{Error, Setting};

/// Where the process runs; it decides defaults and who has access to the docs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Environment {
    /// A developer's machine: docs are open, cookies work over plain HTTP.
    Local,
    /// A shared development system.
    Dev,
    /// User acceptance tests.
    Uat,
    /// User acceptance tests by the business side.
    Uatbiz,
    /// Sanity checks before a release.
    Sanity,
    /// As production, with the docs open to superusers.
    Staging,
    /// The real thing: no docs.
    Production,
}

impl Environment {
    /// The value of `ENVIRONMENT`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Dev => "dev",
            Self::Uat => "uat",
            Self::Uatbiz => "uatbiz",
            Self::Sanity => "sanity",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Environment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim().to_ascii_lowercase();
        let name = match text.as_str() {
            "prod" => "production",
            "stage" | "stg" => "staging",
            "development" | "develop" => "dev",
            other => other,
        };
        [
            Self::Local,
            Self::Dev,
            Self::Uat,
            Self::Uatbiz,
            Self::Sanity,
            Self::Staging,
            Self::Production,
        ]
        .into_iter()
        .find(|environment| environment.name() == name)
        .ok_or_else(|| "expected local, dev, uat, uatbiz, sanity, staging or production".into())
    }
}

/// The merged layers.
#[derive(Debug, Clone, Default)]
pub struct Source {
    values: BTreeMap<String, (String, String)>,
}

impl Source {
    /// Reads every layer: files from the working folder, the process's environment, and the folder
    /// of secrets (`SECRETS_DIR`, `/run/secrets` by default), where a file named as a setting, in
    /// either case, holds its value.
    pub fn load() -> Result<Self, Error> {
        Self::load_from(Path::new("."), std::env::vars())
    }

    /// As [`Source::load`], with the folder and the environment given.
    pub fn load_from(folder: &Path, environment: impl IntoIterator<Item = (String, String)>) -> Result<Self, Error> {
        let environment: BTreeMap<String, String> = environment.into_iter().collect();
        let mut source = Self::default();
        source.add_file(&folder.join(".env"))?;
        let name = environment
            .get("ENVIRONMENT")
            .cloned()
            .or_else(|| source.raw("ENVIRONMENT").map(str::to_owned));
        if let Some(name) = name {
            // One file, whichever alias the environment is called by.
            let name = name
                .parse()
                .map_or(name.to_ascii_lowercase(), |known: Environment| known.name().to_owned());
            source.add_file(&folder.join(format!(".env.{name}")))?;
        }
        for (name, value) in environment {
            source.set(name, value, "the environment".into());
        }
        let secrets = source.raw("SECRETS_DIR").unwrap_or("/run/secrets").to_owned();
        source.add_secrets(Path::new(&secrets));
        Ok(source)
    }

    /// A source of just these values. For tests and for embedding.
    pub fn of<'a>(values: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let values = values
            .into_iter()
            .map(|(name, value)| (name.to_owned(), (value.to_owned(), "the caller".to_owned())));
        Self {
            values: values.collect(),
        }
    }

    /// Sets `name` unless a layer sets it.
    pub fn set_default(&mut self, name: &str, value: impl Into<String>, origin: &str) {
        self.values
            .entry(name.to_owned())
            .or_insert_with(|| (value.into(), origin.to_owned()));
    }

    /// The raw value of `name`; an empty value counts as unset.
    pub fn raw(&self, name: &str) -> Option<&str> {
        self.values
            .get(name)
            .map(|(value, _)| value.as_str())
            .filter(|value| !value.is_empty())
    }

    /// The names that a layer sets.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    /// The layer that set `name`.
    pub fn origin(&self, name: &str) -> &str {
        self.values.get(name).map_or("its default", |(_, origin)| origin)
    }

    /// Reads one setting, with its default when no layer sets it.
    pub fn read<T>(&self, setting: &Setting) -> Result<Option<T>, Error>
    where
        T: FromStr<Err: fmt::Display>,
    {
        let Some(text) = self.raw(setting.name).or(setting.default) else {
            return Ok(None);
        };
        text.trim().parse().map(Some).map_err(|rule: T::Err| Error::Invalid {
            name: setting.name.to_owned(),
            shown: if setting.secret { "…".into() } else { text.to_owned() },
            origin: self.origin(setting.name).to_owned(),
            rule: expected::<T>(&rule.to_string()),
        })
    }

    /// Where the process runs.
    pub fn environment(&self) -> Result<Environment, Error> {
        let setting = Setting {
            name: "ENVIRONMENT",
            default: None,
            doc: &[],
            secret: false,
        };
        Ok(self.read(&setting)?.unwrap_or(Environment::Local))
    }

    /// Sets a value of a later layer. An empty value counts as unset, and leaves the layers below
    /// in force.
    fn set(&mut self, name: String, value: String, origin: String) {
        if !value.is_empty() {
            self.values.insert(name, (value, origin));
        }
    }

    fn add_file(&mut self, path: &PathBuf) -> Result<(), Error> {
        if !path.is_file() {
            return Ok(());
        }
        let file = || path.display().to_string();
        let unreadable = |error: dotenvy::Error| Error::File {
            file: file(),
            reason: match error {
                // The error would show the line, which may hold a secret.
                dotenvy::Error::LineParse(..) => "a line is not `NAME=value`; a value with blanks needs quotes".into(),
                other => other.to_string(),
            },
        };
        let entries = dotenvy::from_path_iter(path).map_err(unreadable)?;
        for entry in entries {
            let (name, value) = entry.map_err(unreadable)?;
            self.set(name, value, file());
        }
        Ok(())
    }

    fn add_secrets(&mut self, folder: &Path) {
        // A missing folder is the usual case; an unreadable file shows as the setting that is
        // missing.
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
            if let (false, Ok(value)) = (name.starts_with('.'), std::fs::read_to_string(entry.path())) {
                let value = value.trim_end_matches(['\r', '\n']).to_owned();
                self.set(name, value, entry.path().display().to_string());
            }
        }
    }
}

/// The rule for a value of type `T`. The standard library's errors name what is wrong, not what
/// would be right.
fn expected<T>(rule: &str) -> String {
    let name = std::any::type_name::<T>();
    match name.rsplit("::").next().unwrap_or(name) {
        "SocketAddr" => "expected an address and a port, such as `127.0.0.1:8000`".into(),
        "bool" => "expected true or false".into(),
        "u16" | "u32" | "u64" | "usize" => format!("expected a whole number ({rule})"),
        _ => rule.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect()
    }

    #[test]
    fn a_later_layer_wins() {
        let folder = tempfile::tempdir().unwrap();
        let secrets = folder.path().join("secrets");
        std::fs::create_dir(&secrets).unwrap();
        std::fs::write(
            folder.path().join(".env"),
            "A=file\nB=file\nC=file\nD=file\nEMPTY=file\nENVIRONMENT=staging\n",
        )
        .unwrap();
        std::fs::write(folder.path().join(".env.staging"), "B=staging\nC=staging\nD=staging\n").unwrap();
        std::fs::write(secrets.join("d"), "secret\n").unwrap();
        let secrets = secrets.to_str().unwrap();
        let variables = environment(&[
            ("C", "process"),
            ("D", "process"),
            ("EMPTY", ""),
            ("SECRETS_DIR", secrets),
        ]);

        let source = Source::load_from(folder.path(), variables).unwrap();

        assert_eq!(source.raw("EMPTY"), Some("file"));
        let values: Vec<_> = ["A", "B", "C", "D"].map(|name| source.raw(name).unwrap()).into();
        assert_eq!(values, ["file", "staging", "process", "secret"]);
    }

    #[test]
    fn the_error_for_an_invalid_line_does_not_contain_the_line() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env"), "PASSWORD=from dotenv secret\n").unwrap();
        let error = Source::load_from(folder.path(), []).unwrap_err().to_string();
        assert!(error.contains(".env") && !error.contains("secret"), "{error}");
    }

    #[test]
    fn a_wrong_value_names_the_variable_the_rule_and_the_layer() {
        let setting = Setting {
            name: "PORT",
            default: None,
            doc: &[],
            secret: false,
        };
        let error = Source::of([("PORT", "x")])
            .read::<u16>(&setting)
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("PORT: expected a whole number") && error.contains("`x`") && error.contains("the caller"),
            "{error}"
        );
    }

    #[test]
    fn an_environment_has_its_usual_aliases_in_any_case_and_one_file() {
        for (text, expected) in [
            ("PROD", Environment::Production),
            ("Production", Environment::Production),
            ("development", Environment::Dev),
            (" Stage ", Environment::Staging),
            ("LOCAL", Environment::Local),
        ] {
            assert_eq!(text.parse(), Ok(expected), "{text}");
        }
        assert!("prd".parse::<Environment>().is_err());
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(".env.production"), "A=production\n").unwrap();
        let source = Source::load_from(folder.path(), environment(&[("ENVIRONMENT", "Prod")])).unwrap();
        assert_eq!(source.raw("A"), Some("production"));
    }
}
