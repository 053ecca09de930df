//! The tests' own protos, compiled without files on the side.

use std::path::Path;
use std::sync::LazyLock;

use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};

/// The pool of `testdata/kitchen.proto`.
pub(crate) fn pool() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        let text =
            std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/kitchen.proto")).unwrap();
        compile(&text).unwrap()
    });
    &POOL
}

/// A message of the kitchen, by its short name.
pub(crate) fn descriptor(name: &str) -> MessageDescriptor {
    pool().get_message_by_name(&format!("kitchen.v1.{name}")).unwrap()
}

/// An empty message of the kitchen.
pub(crate) fn empty(name: &str) -> DynamicMessage {
    DynamicMessage::new(descriptor(name))
}

/// A pool of one proto file, with the imports that the suite has.
pub(crate) fn compile(text: &str) -> Result<DescriptorPool, String> {
    use protox::file::{ChainFileResolver, File, FileResolver, GoogleFileResolver, IncludeFileResolver};

    struct Given(String);
    impl FileResolver for Given {
        fn open_file(&self, name: &str) -> Result<File, protox::Error> {
            if name == "test.proto" {
                File::from_source(name, &self.0)
            } else {
                Err(protox::Error::file_not_found(name))
            }
        }
    }

    let mut resolver = ChainFileResolver::new();
    resolver.add(Given(text.to_owned()));
    resolver.add(IncludeFileResolver::new(
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../proto"),
    ));
    resolver.add(GoogleFileResolver::new());
    let mut compiler = protox::Compiler::with_file_resolver(resolver);
    compiler.include_imports(true);
    compiler.open_file("test.proto").map_err(|error| error.to_string())?;
    DescriptorPool::decode(compiler.encode_file_descriptor_set().as_slice()).map_err(|error| error.to_string())
}
