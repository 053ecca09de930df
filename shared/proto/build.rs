//! Compiles `proto/` without a `protoc` on the machine, refuses a contract that leaves something
//! unsaid, and generates messages, clients and servers. The descriptors, comments included, are
//! kept for the gateway, reflection and the access layer.

use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};
use prost::Message;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, MethodDescriptor, Value,
};

fn main() -> anyhow::Result<()> {
    // Read when this runs, not when it is built: a target folder may serve several checkouts.
    let here = PathBuf::from(std::env::var_os("CARGO_MANIFEST_DIR").context("cargo sets CARGO_MANIFEST_DIR")?);
    let root = here.join("../../proto");
    println!("cargo::rerun-if-changed={}", root.display());

    let mut files = Vec::new();
    collect(&root.join("quartet"), &mut files)?;
    files.sort();

    let bytes = compile(&root, &files, true)?;
    let bare = compile(&root, &files, false)?;
    let pool = DescriptorPool::decode(bare.as_slice())?;
    for service in pool.services().filter(|s| s.full_name().starts_with("quartet.")) {
        for method in service.methods() {
            check(&method)?;
        }
    }

    let out = PathBuf::from(std::env::var_os("OUT_DIR").context("cargo sets OUT_DIR")?);
    std::fs::write(out.join("descriptors.bin"), &bytes)?;
    std::fs::write(out.join("bare.bin"), &bare)?;
    std::fs::write(out.join("events.rs"), events(&pool)?)?;
    let descriptors = generated(&bytes)?;
    let mut messages = prost_build::Config::new();
    // The codec finds what it counts of a message by its name.
    messages.enable_type_names();
    tonic_prost_build::configure()
        .bytes(".")
        .codec_path("crate::bounded::BoundedCodec")
        .compile_fds_with_config(descriptors, messages)?;
    Ok(())
}

/// The encoded `FileDescriptorSet` of these files and their imports.
fn compile(root: &Path, files: &[PathBuf], with_comments: bool) -> anyhow::Result<Vec<u8>> {
    let mut compiler = protox::Compiler::new([root])?;
    compiler
        .include_imports(true)
        .include_source_info(with_comments)
        .open_files(files)?;
    Ok(compiler.encode_file_descriptor_set())
}

/// The files that code is generated for: ours, and what their messages may hold. The rules of
/// `buf.validate` are read through reflection.
fn generated(bytes: &[u8]) -> anyhow::Result<tonic_prost_build::FileDescriptorSet> {
    let mut set = tonic_prost_build::FileDescriptorSet::decode(bytes)?;
    set.file.retain(|file| !file.package().starts_with("buf."));
    Ok(set)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("reading {}", folder.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    Ok(())
}

/// Refuses an RPC without an access policy, one that people can call but that has no HTTP rule, and
/// one whose reply holds a secret but that leaves open what becomes of an idempotency key.
fn check(method: &MethodDescriptor) -> anyhow::Result<()> {
    let name = method.full_name();
    let access = option(method, "quartet.options.v1.access").and_then(|value| value.as_enum_number());
    ensure!(
        access.is_some_and(|number| number != 0),
        "{name} declares no access policy; add `option (quartet.options.v1.access) = ACCESS_…;`"
    );
    const SERVICE: i32 = 4;
    let rule = option(method, "google.api.http");
    ensure!(
        access == Some(SERVICE) || rule.is_some(),
        "{name} declares no HTTP rule; add `option (google.api.http) = {{…}};` or make it ACCESS_SERVICE"
    );
    let takes_key = rule.is_some_and(|rule| rule.as_message().is_some_and(posts_or_patches));
    ensure!(
        access == Some(SERVICE)
            || !takes_key
            || option(method, "quartet.options.v1.idempotency").is_some()
            || !holds_secret(&method.output(), &mut Vec::new()),
        "{name} replies with a secret, which must not be kept for a repeat of the request; add `option \
         (quartet.options.v1.idempotency) = IDEMPOTENCY_…;`"
    );
    let required = option(method, "quartet.options.v1.precondition").and_then(|value| value.as_enum_number());
    ensure!(
        required != Some(1)
            || method
                .input()
                .fields()
                .any(|field| declares(&field, "quartet.options.v1.if_match")),
        "{name} demands an etag that its request has no field for; mark one with `(quartet.options.v1.if_match) = true`"
    );
    Ok(())
}

fn declares(field: &FieldDescriptor, name: &str) -> bool {
    let extension = field.parent_pool().get_extension_by_name(name);
    extension.is_some_and(|extension| field.options().has_extension(&extension))
}

/// Whether an HTTP rule, or one beside it, is of a method that takes idempotency keys.
fn posts_or_patches(rule: &DynamicMessage) -> bool {
    let bindings = rule.get_field_by_name("additional_bindings");
    let bindings = bindings.as_ref().and_then(|bindings| bindings.as_list());
    rule.has_field_by_name("post")
        || rule.has_field_by_name("patch")
        || bindings
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_message)
            .any(posts_or_patches)
}

/// Whether a message, or one inside it, has a field that is a secret or a cookie.
fn holds_secret(message: &MessageDescriptor, seen: &mut Vec<String>) -> bool {
    if seen.iter().any(|name| name == message.full_name()) {
        return false;
    }
    seen.push(message.full_name().to_owned());
    message.fields().any(|field| {
        declares(&field, "quartet.options.v1.secret")
            || declares(&field, "quartet.options.v1.cookie")
            || field.kind().as_message().is_some_and(|inner| holds_secret(inner, seen))
    })
}

/// The kinds of events and their consumers, as Rust. Refuses a malformed kind.
fn events(pool: &DescriptorPool) -> anyhow::Result<String> {
    let extension = pool
        .get_extension_by_name("quartet.options.v1.event")
        .context("options.proto declares the option of events")?;
    let (mut code, mut list, mut decoders) = (String::new(), String::new(), String::new());
    for message in pool.all_messages() {
        let options: DynamicMessage = message.options();
        if !options.has_extension(&extension) {
            continue;
        }
        let name = message.full_name();
        let event = options.get_extension(&extension);
        let event = event.as_message().context("an event is a message")?;
        let kind = event.get_field_by_name("kind").context("an event has a kind")?;
        let kind = kind.as_str().context("a kind is text")?;
        let package: Vec<&str> = message.package_name().split('.').collect();
        let words: Vec<&str> = kind.split('.').collect();
        ensure!(
            matches!(
                (&package[..], &words[..]),
                ([_, service, _], [first, _, _, last]) if service == first && last.starts_with('v')
            ),
            "{name}: `{kind}` is no kind of its service; expected `service.thing.happened.v1`"
        );
        let consumers = event.get_field_by_name("consumers").context("an event has consumers")?;
        let consumers: Vec<&str> = consumers
            .as_list()
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_str)
            .collect();
        let path = format!("crate::{}::{}::{}", package[1], package[2], message.name());
        let tags = event.get_field_by_name("invalidates").context("an event has tags")?;
        let tags = tags
            .as_list()
            .unwrap_or_default()
            .iter()
            .filter_map(Value::as_str)
            .map(|template| tag(&message, template))
            .collect::<anyhow::Result<Vec<_>>>()?
            .join(", ");
        code += &format!(
            "impl Event for {path} {{
                const KIND: &'static str = {kind:?};
                fn tags(&self) -> Vec<String> {{ vec![{tags}] }}
            }}\n"
        );
        decoders += &format!("{kind:?} => <{path} as prost::Message>::decode(payload).map(|event| event.tags()),\n");
        list += &format!("({kind:?}, &{consumers:?}),\n");
    }
    Ok(format!(
        "{code}/// Every kind, and the services that take it.\npub const KINDS: &[(&str, &[&str])] = &[{list}];\n\
         fn decoded_tags(kind: &str, payload: &[u8]) -> Result<Vec<String>, prost::DecodeError> {{
            match kind {{ {decoders} _ => Ok(Vec::new()) }}
         }}\n"
    ))
}

/// The expression of a tag: `format!("todos/{}", self.user_id)` for `todos/{user_id}`. Refuses a
/// template over anything but fields of text.
fn tag(message: &MessageDescriptor, template: &str) -> anyhow::Result<String> {
    let (mut format, mut fields, mut rest) = (String::new(), Vec::new(), template);
    while let Some((before, after)) = rest.split_once('{') {
        let name = message.full_name();
        let (field, after) = after
            .split_once('}')
            .with_context(|| format!("{name}: the tag `{template}` has no end"))?;
        let known = message.get_field_by_name(field);
        ensure!(
            known.is_some_and(|known| matches!(known.kind(), Kind::String) && !known.supports_presence()),
            "{name}: the tag `{template}` needs a plain field of text named `{field}`"
        );
        format += before;
        format += "{}";
        fields.push(format!("self.{field}"));
        rest = after;
    }
    format += rest;
    fields.insert(0, format!("{format:?}"));
    Ok(format!("format!({})", fields.join(", ")))
}

fn option(method: &MethodDescriptor, name: &str) -> Option<Value> {
    let extension = method.parent_pool().get_extension_by_name(name)?;
    let options: DynamicMessage = method.options();
    options
        .has_extension(&extension)
        .then(|| options.get_extension(&extension).into_owned())
}
