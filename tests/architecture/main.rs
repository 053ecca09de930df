//! The arrows of ARCHITECTURE.md, "Who may import whom", read off the manifests and the sources.

mod columns;
mod dependencies;
mod features;
mod security;

use std::fs;
use std::path::{Path, PathBuf};

const SERVICES: &[&str] = &["quartet-auth", "quartet-users", "quartet-todos", "quartet-jobs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn folders(of: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(of)).expect("the folder is there");
    entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect()
}

/// The crates of the workspace that a manifest depends on outside tests.
fn imports(package: &Path) -> Vec<String> {
    let manifest = fs::read_to_string(package.join("Cargo.toml")).expect("a manifest");
    let mut inside = false;
    let mut found = Vec::new();
    for line in manifest.lines() {
        if line.starts_with('[') {
            inside = line == "[dependencies]";
        } else if inside && line.starts_with("quartet-") {
            found.push(line.split(['.', ' ', '=']).next().unwrap_or_default().to_owned());
        }
    }
    found
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_target_of_make_is_explained() {
    let makefile = fs::read_to_string(root().join("Makefile")).expect("the Makefile");
    let phony = makefile.lines().filter_map(|line| line.strip_prefix(".PHONY: "));
    let mut targets = 0;
    for target in phony.flat_map(str::split_whitespace) {
        targets += 1;
        let is_explained = |line: &str| {
            let rest = line.strip_prefix(target).and_then(|rest| rest.strip_prefix(':'));
            rest.is_some_and(|rest| rest.contains("## "))
        };
        assert!(makefile.lines().any(is_explained), "`make help` does not list {target}");
    }
    assert!(targets > 30, "{targets}");
}

#[test]
fn nothing_but_the_suite_and_the_tests_imports_a_service() {
    let mut packages = folders("services");
    packages.extend(folders("shared"));
    packages.push(root().join("gateway"));
    assert!(packages.len() > 8, "the workspace was read");
    for package in packages {
        let wrong: Vec<String> = imports(&package)
            .into_iter()
            .filter(|name| SERVICES.contains(&name.as_str()))
            .collect();
        assert!(wrong.is_empty(), "{} imports {wrong:?}", package.display());
    }
}

#[test]
fn shared_crates_do_not_import_the_gateway_and_only_tests_import_the_testkit() {
    for package in folders("shared").into_iter().chain(folders("services")) {
        let imports = imports(&package);
        for wrong in ["quartet-gateway", "quartet-testkit", "quartet"] {
            assert!(
                !imports.iter().any(|name| name == wrong),
                "{} imports {wrong}",
                package.display()
            );
        }
    }
}

/// What crates and files below gRPC may not mention: the gRPC crate, and gRPC itself.
const GRPC: &[&str] = &["quartet_rpc", "quartet-rpc", "tonic"];

#[test]
fn the_kernel_imports_no_other_crate_of_the_suite_but_the_clock() {
    let package = root().join("shared/kernel");
    let imports = imports(&package);
    let wrong: Vec<&String> = imports.iter().filter(|name| *name != "quartet-clock").collect();
    assert!(wrong.is_empty(), "the kernel imports {wrong:?}");
    let manifest = fs::read_to_string(package.join("Cargo.toml")).expect("a manifest");
    for wrong in ["tonic", "prost", "http", "hyper", "axum", "sqlx"] {
        let named = manifest.lines().any(|line| line.starts_with(wrong));
        assert!(!named, "the kernel depends on {wrong}");
    }
}

#[test]
fn nothing_below_grpc_depends_on_it() {
    let mut files = Vec::new();
    for package in ["shared/kernel", "shared/store", "shared/messaging"] {
        let package = root().join(package);
        let manifest = fs::read_to_string(package.join("Cargo.toml")).expect("a manifest");
        for wrong in GRPC {
            let named = manifest.lines().any(|line| line.starts_with(wrong));
            assert!(!named, "{} depends on {wrong}", package.display());
        }
        sources(&package, &mut files);
    }
    for service in folders("services") {
        sources(&service.join("src/domain"), &mut files);
    }
    assert!(files.len() > 80, "{} sources were read", files.len());
    let mut found = Vec::new();
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        let wrong = GRPC.iter().filter(|wrong| text.contains(**wrong));
        found.extend(wrong.map(|wrong| format!("{} mentions {wrong}", file.display())));
    }
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn domains_know_neither_protos_nor_sql() {
    let mut files = Vec::new();
    for service in folders("services") {
        sources(&service.join("src/domain"), &mut files);
    }
    assert!(files.len() > 20, "the domains were read");
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        for wrong in ["sqlx::", "tonic::", "quartet_proto::", "prost"] {
            assert!(!text.contains(wrong), "{} knows {wrong}", file.display());
        }
    }
}

#[test]
fn stores_know_no_protos() {
    let mut files = Vec::new();
    for service in folders("services") {
        sources(&service.join("src/store"), &mut files);
    }
    for file in files {
        let text = fs::read_to_string(&file).expect("a source");
        assert!(!text.contains("quartet_proto::"), "{} knows protos", file.display());
    }
}
