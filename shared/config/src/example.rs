//! Settings as text: the commented example file, and the effective values.

use std::fmt::Write as _;

use crate::{Setting, Source};

/// The commented `.env.example` of these sections, each a title and its settings. The defaults are
/// commented out.
pub fn file(sections: &[(&str, Vec<Setting>)]) -> String {
    let mut text = String::from(
        "# Every setting of the suite, with its default. Copy to `.env`, uncomment what you change.\n\
         # Layers, the later one wins: defaults, .env, .env.{ENVIRONMENT}, the environment, files in SECRETS_DIR\n\
         # named as the setting.\n",
    );
    for (title, settings) in sections {
        let _ = write!(text, "\n# ==== {title} ====\n");
        for setting in settings {
            text.push('\n');
            for line in setting.doc {
                let _ = writeln!(text, "#{line}");
            }
            let _ = writeln!(text, "#{}={}", setting.name, setting.default.unwrap_or_default());
        }
    }
    text
}

/// The effective values of these sections, with the layer that set each and with secrets hidden.
pub fn effective(sections: &[(&str, Vec<Setting>)], source: &Source) -> String {
    let mut text = String::new();
    for (title, settings) in sections {
        let _ = writeln!(text, "# {title}");
        for setting in settings {
            let value = match source.raw(setting.name).or(setting.default) {
                Some(_) if setting.secret => "…",
                Some(value) => value,
                None => "",
            };
            let _ = writeln!(text, "{}={value}  # {}", setting.name, source.origin(setting.name));
        }
    }
    text
}
