//! `google.protobuf.FieldMask` as text: paths in lower camel case, with commas between.

/// Reads `a,b.cDe` into the paths `a` and `b.c_de`; paths in the protos' own spelling are taken as
/// they are.
pub(crate) fn parse(text: &str) -> Option<Vec<String>> {
    match text {
        "" => return Some(Vec::new()),
        // Every field (AIP-134).
        "*" => return Some(vec!["*".to_owned()]),
        _ => {}
    }
    text.split(',').map(snake).collect()
}

fn snake(path: &str) -> Option<String> {
    let valid =
        |segment: &str| !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if !path.split('.').all(valid) {
        return None;
    }
    let mut snake = String::with_capacity(path.len() + 4);
    for c in path.chars() {
        if c.is_ascii_uppercase() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    Some(snake)
}

/// Writes paths in lower camel case. A path that would not be read back as itself, such as
/// `line_2`, keeps the protos' spelling.
pub(crate) fn format<'a>(paths: impl Iterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for path in paths {
        if !text.is_empty() {
            text.push(',');
        }
        let camel = camel(path);
        let same = snake(&camel).is_some_and(|snake| snake == path);
        text.push_str(if same { &camel } else { path });
    }
    text
}

fn camel(path: &str) -> String {
    let mut camel = String::with_capacity(path.len());
    let mut raise = false;
    for c in path.chars() {
        if c == '_' {
            raise = true;
        } else {
            camel.push(if raise { c.to_ascii_uppercase() } else { c });
            raise = false;
        }
    }
    camel
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_are_read_and_camel_case_is_written() {
        assert_eq!(
            parse("a,fooBar.bazQux,due_at").unwrap(),
            ["a", "foo_bar.baz_qux", "due_at"]
        );
        assert_eq!(format(["a", "foo_bar.baz_qux"].into_iter()), "a,fooBar.bazQux");
        assert_eq!(parse("").unwrap(), Vec::<String>::new());
        assert_eq!(parse("*").unwrap(), ["*"]);
        assert_eq!(format(["*"].into_iter()), "*");
    }

    #[test]
    fn a_path_that_camel_case_would_change_is_written_as_it_is() {
        assert_eq!(format(["line_2", "a__b"].into_iter()), "line_2,a__b");
    }

    #[test]
    fn empty_paths_and_foreign_characters_are_refused() {
        for text in [",", "a,", "a..b", "a b", "a-b", ".a", "a, b", "*,a", "a.*", "**"] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
