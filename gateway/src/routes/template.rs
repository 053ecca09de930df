//! Path templates of `google/api/http.proto`:
//!
//! ```text
//! Template = "/" Segments [ Verb ] ;
//! Segments = Segment { "/" Segment } ;
//! Segment  = "*" | "**" | LITERAL | Variable ;
//! Variable = "{" FieldPath [ "=" Segments ] "}" ;
//! FieldPath = IDENT { "." IDENT } ;
//! Verb     = ":" LITERAL ;
//! ```

use super::percent;

/// A parsed template: its segments without the variables' braces, and what each variable covers.
#[derive(Debug)]
pub(super) struct Template {
    pub(super) segments: Vec<Segment>,
    pub(super) variables: Vec<Variable>,
    pub(super) verb: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Segment {
    /// Matches itself, percent-decoded.
    Literal(String),
    /// `*`: one segment.
    One,
    /// `**`: all that is left.
    Rest,
}

#[derive(Debug)]
pub(super) struct Variable {
    /// Names of the fields from the request message down.
    pub(super) path: Vec<String>,
    pub(super) capture: Capture,
}

/// The part of a path that a variable takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capture {
    /// Index of the first segment.
    pub(super) start: usize,
    /// Number of segments; `None` for all that are left.
    pub(super) length: Option<usize>,
    /// Whether the template is longer than one segment, so that an encoded `/` must stay encoded.
    pub(super) multiple: bool,
}

/// Parses `template`.
pub(super) fn parse(template: &str) -> Result<Template, String> {
    let rest = template.strip_prefix('/').ok_or("a template starts with `/`")?;
    let (rest, verb) = split_verb(rest);
    let mut parsed = Template {
        segments: Vec::new(),
        variables: Vec::new(),
        verb: None,
    };
    if let Some(verb) = verb {
        parsed.verb = Some(literal(verb)?);
    }
    let mut rest = rest;
    // The grammar has at least one segment; the root path alone is allowed as well.
    if rest.is_empty() {
        return Ok(parsed);
    }
    loop {
        rest = match rest.strip_prefix('{') {
            Some(variable) => {
                let (inside, after) = variable.split_once('}').ok_or("a `{` is not closed")?;
                parsed.variable(inside)?;
                after
            }
            None => {
                let end = rest.find('/').unwrap_or(rest.len());
                let (text, after) = rest.split_at(end);
                parsed.segment(text)?;
                after
            }
        };
        match rest.strip_prefix('/') {
            Some(more) => rest = more,
            None if rest.is_empty() => return Ok(parsed),
            None => return Err(format!("expected `/` before `{rest}`")),
        }
    }
}

/// Takes `:verb` off the end. A colon inside braces or before the last segment is no verb.
fn split_verb(rest: &str) -> (&str, Option<&str>) {
    let tail = rest.rfind(['/', '}']).map_or(0, |at| at + 1);
    match rest[tail..].find(':') {
        Some(at) => (&rest[..tail + at], Some(&rest[tail + at + 1..])),
        None => (rest, None),
    }
}

impl Template {
    fn segment(&mut self, text: &str) -> Result<(), String> {
        if self.segments.last() == Some(&Segment::Rest) {
            return Err("`**` is the last segment".to_owned());
        }
        self.segments.push(match text {
            "*" => Segment::One,
            "**" => Segment::Rest,
            text => Segment::Literal(literal(text)?),
        });
        Ok(())
    }

    fn variable(&mut self, inside: &str) -> Result<(), String> {
        let (path, segments) = inside.split_once('=').unwrap_or((inside, "*"));
        let path: Vec<String> = path.split('.').map(str::to_owned).collect();
        if let Some(name) = path.iter().find(|name| !is_identifier(name)) {
            return Err(format!("`{name}` in `{{{inside}}}` is no field name"));
        }
        let start = self.segments.len();
        for text in segments.split('/') {
            self.segment(text)?;
        }
        let count = self.segments.len() - start;
        let open = self.segments.last() == Some(&Segment::Rest);
        let capture = Capture {
            start,
            length: (!open).then_some(count),
            multiple: open || count > 1,
        };
        self.variables.push(Variable { path, capture });
        Ok(())
    }
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

fn literal(text: &str) -> Result<String, String> {
    if text.is_empty() {
        return Err("a segment is empty".to_owned());
    }
    if let Some(c) = text
        .chars()
        .find(|c| matches!(c, '{' | '}' | '*' | '=' | '?' | '#' | ':'))
    {
        return Err(format!(
            "`{c}` stands in the literal `{text}`; write it percent-encoded"
        ));
    }
    percent::decode(text)
        .map(std::borrow::Cow::into_owned)
        .ok_or_else(|| format!("`{text}` is not percent-encoded UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lit(text: &str) -> Segment {
        Segment::Literal(text.to_owned())
    }

    #[test]
    fn a_variable_without_a_pattern_takes_one_segment() {
        let template = parse("/v1/messages/{message_id}").unwrap();
        assert_eq!(template.segments, [lit("v1"), lit("messages"), Segment::One]);
        assert_eq!(template.variables[0].path, ["message_id"]);
        assert_eq!(
            template.variables[0].capture,
            Capture {
                start: 2,
                length: Some(1),
                multiple: false
            }
        );
    }

    #[test]
    fn a_variable_may_cover_several_segments_and_a_verb_may_follow() {
        let template = parse("/v1/{a.b=shelves/*/books/*}:move").unwrap();
        assert_eq!(
            template.segments,
            [lit("v1"), lit("shelves"), Segment::One, lit("books"), Segment::One]
        );
        assert_eq!(template.variables[0].path, ["a", "b"]);
        assert_eq!(
            template.variables[0].capture,
            Capture {
                start: 1,
                length: Some(4),
                multiple: true
            }
        );
        assert_eq!(template.verb.as_deref(), Some("move"));
    }

    #[test]
    fn two_stars_take_the_rest() {
        let template = parse("/files/{path=**}").unwrap();
        assert_eq!(
            template.variables[0].capture,
            Capture {
                start: 1,
                length: None,
                multiple: true
            }
        );
    }

    #[test]
    fn malformed_templates_are_refused() {
        for template in [
            "",
            "v1",
            "/v1//a",
            "/v1/",
            "/v1/{a",
            "/v1/{}",
            "/v1/{a}b",
            "/v1/{a=}",
            "/v1/{1a}",
            "/v1/{a..b}",
            "/v1/**/b",
            "/v1/{a=**}/b",
            "/v1/a*",
            "/v1/{a={b}}",
            "/v1/a:",
            "/v1/a:b:c",
            "/v1/%zz",
            "/v1/a}",
            "/v1/{a b}",
        ] {
            assert!(parse(template).is_err(), "{template}");
        }
    }

    #[test]
    fn random_templates_are_parsed_or_refused() {
        const PARTS: &[&str] = &[
            "/",
            "{",
            "}",
            "=",
            "*",
            "**",
            ":",
            ".",
            "a",
            "b_c",
            "%2F",
            "%",
            "{id}",
            "{a.b=x/*}",
        ];
        quartet_testkit::random::rounds(20_000, |random| {
            let text = random.text(PARTS, 12);
            if let Ok(template) = parse(&text) {
                for variable in &template.variables {
                    let end = variable.capture.start + variable.capture.length.unwrap_or(0);
                    assert!(end <= template.segments.len(), "{text:?}");
                }
            }
        });
    }
}
