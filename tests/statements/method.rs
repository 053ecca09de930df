//! The methods of the contracts, by short names such as `TodoService/GetTodo`.

use prost_reflect::MethodDescriptor;
use quartet_proto::descriptors;

/// Every method of the suite.
fn all() -> impl Iterator<Item = MethodDescriptor> {
    let services = descriptors::pool()
        .services()
        .filter(|service| service.full_name().starts_with("quartet."));
    services.flat_map(|service| service.methods().collect::<Vec<_>>())
}

/// The short names of all methods.
pub(crate) fn names() -> impl Iterator<Item = String> {
    all().map(|method| name(&method))
}

/// The method of a short name.
pub(crate) fn find(short: &str) -> MethodDescriptor {
    let mut found = all().filter(|method| name(method) == short);
    let method = found.next().unwrap_or_else(|| panic!("there is no method {short}"));
    assert!(found.next().is_none(), "two services have a method {short}");
    method
}

/// The short name in a line of the table: what follows a comma tells scenarios of one method apart.
pub(crate) fn of_line(line: &str) -> &str {
    line.split(',').next().unwrap_or(line)
}

/// The service of the suite that serves a method, such as `todos`.
pub(crate) fn service(method: &MethodDescriptor) -> String {
    let package = method.parent_file().package_name().to_owned();
    package
        .split('.')
        .nth(1)
        .expect("a package has the name of a service")
        .to_owned()
}

fn name(method: &MethodDescriptor) -> String {
    format!("{}/{}", method.parent_service().name(), method.name())
}
