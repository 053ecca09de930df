//! No idle dependencies: each one of a package is named in the package's sources, and each one of
//! the workspace is used by a package.

use std::fs;
use std::path::Path;

use super::{root, sources};

/// Dependencies that only generated code names.
const GENERATED: [(&str, &str); 2] = [("shared/proto", "prost-types"), ("shared/proto", "tonic-prost")];

/// The packages of the workspace, by folder.
fn packages() -> Vec<String> {
    let mut packages: Vec<String> = ["gateway", "deploy/suite", "tests"].map(str::to_owned).into();
    for parent in ["services", "shared"] {
        let folders = super::folders(parent).into_iter();
        packages.extend(folders.map(|folder| format!("{parent}/{}", name(&folder))));
    }
    packages
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("a name")
}

/// The dependencies in a section of a manifest.
fn dependencies(manifest: &str, section: &str) -> Vec<String> {
    let header = format!("[{section}]");
    let lines = manifest.lines().skip_while(|line| *line != header).skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.split_once(['.', ' ', '=']))
        .map(|(name, _)| name.to_owned())
        .collect()
}

/// The sources of a package below these folders and files of it.
fn code(package: &Path, parts: &[&str]) -> String {
    let mut files = Vec::new();
    for part in parts {
        let path = package.join(part);
        match path.is_file() {
            true => files.push(path),
            false => sources(&path, &mut files),
        }
    }
    let texts = files.iter().map(|file| fs::read_to_string(file).expect("a source"));
    texts.collect()
}

/// Whether code names a crate: as `name::…` or as `use name`, outside of comments.
fn is_named(code: &str, crate_name: &str) -> bool {
    let identifier = crate_name.replace('-', "_");
    let mut lines = code.lines().map(|line| line.split("//").next().unwrap_or_default());
    lines.any(|line| {
        line.match_indices(&identifier).any(|(at, _)| {
            let (before, after) = (&line[..at], &line[at + identifier.len()..]);
            // `::name` is the crate as well, but `other::name` is not.
            let before = before.strip_suffix("::").unwrap_or(before);
            let starts = !before.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':');
            let is_path = after.starts_with("::");
            let is_use = before.trim_end().ends_with("use") && after.starts_with([';', ' ']);
            starts && (is_path || is_use)
        })
    })
}

#[test]
fn every_dependency_of_a_package_is_named_in_its_sources() {
    let mut idle = Vec::new();
    for folder in packages() {
        let package = root().join(&folder);
        let manifest = fs::read_to_string(package.join("Cargo.toml")).expect("a manifest");
        // The package of the tests has its targets in folders of its own.
        let all: &[&str] = if folder == "tests" {
            &["."]
        } else {
            &["src", "tests", "examples"]
        };
        let normal = if folder == "tests" { all } else { &["src"] };
        for (section, parts) in [
            ("dependencies", normal),
            ("dev-dependencies", all),
            ("build-dependencies", &["build.rs"]),
        ] {
            let code = code(&package, parts);
            for dependency in dependencies(&manifest, section) {
                let is_generated = GENERATED.contains(&(folder.as_str(), dependency.as_str()));
                if !is_generated && !is_named(&code, &dependency) {
                    idle.push(format!("{folder}: [{section}] {dependency}"));
                }
            }
        }
    }
    assert!(idle.is_empty(), "idle dependencies:\n{}", idle.join("\n"));
}

#[test]
fn every_dependency_of_the_workspace_is_used_by_a_package() {
    let manifest = |folder: &Path| fs::read_to_string(folder.join("Cargo.toml")).expect("a manifest");
    let sections = ["dependencies", "dev-dependencies", "build-dependencies"];
    let used: Vec<String> = packages()
        .iter()
        .map(|folder| manifest(&root().join(folder)))
        .flat_map(|manifest| sections.map(|section| dependencies(&manifest, section)))
        .flatten()
        .collect();
    let mut idle = dependencies(&manifest(&root()), "workspace.dependencies");
    assert!(idle.len() > 40, "the manifest was read");
    idle.retain(|dependency| !used.contains(dependency));
    assert!(idle.is_empty(), "no package uses {idle:?}");
}

#[test]
fn a_crate_is_named_by_a_path_or_a_use_and_not_by_a_word() {
    for named in [
        "use http::Method;",
        "    http::Method::GET",
        "use http;",
        "let a = [http::A]",
    ] {
        assert!(is_named(named, "http"), "{named}");
    }
    assert!(is_named("use http_body::Body;", "http-body"));
    for other in [
        "// use http::Method;",
        "use axum::http::Method;",
        "let http = 1;",
        "hyper_http::A",
        "http_body::B",
    ] {
        assert!(!is_named(other, "http"), "{other}");
    }
}
