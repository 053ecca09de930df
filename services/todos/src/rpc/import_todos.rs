//! ImportTodos.

use quartet_kernel::{Rule, Violations, id};
use quartet_proto::todos::v1 as pb;
use quartet_rpc::Call;
use uuid::Uuid;

use super::{Rpc, convert};
use crate::Error;
use crate::domain::{ImportedTodo, TagName, imported_id};

pub(super) async fn handle(
    rpc: &Rpc,
    call: &Call,
    request: pb::ImportTodosRequest,
) -> Result<pb::ImportTodosResponse, Error> {
    let body = &request;
    let mut violations = Violations::new();
    let owner = violations.check("user_id", id::parse(&body.user_id));
    let import = violations.check("import_id", id::parse(&body.import_id));
    violations.check("rows", convert::batch_size(body.rows.len()));
    violations.finish()?;
    let (owner, import) = (convert::checked(owner)?, convert::checked(import)?);

    let mut errors = Vec::new();
    let todos: Vec<ImportedTodo> = body
        .rows
        .iter()
        .filter_map(|row| parse(import, row, &mut errors))
        .collect();
    let limits = rpc.quotas.of(Some(body.tier.as_str()).filter(|tier| !tier.is_empty()));
    rpc.store.import_todos(owner, &todos, limits, &rpc.cx(call)).await?;
    Ok(pb::ImportTodosResponse {
        // A request holds at most a hundred rows.
        imported: todos.len() as i32,
        errors,
    })
}

/// The todo of a row, or what is wrong with it.
fn parse(import: Uuid, row: &pb::ImportRow, errors: &mut Vec<pb::ImportError>) -> Option<ImportedTodo> {
    let mut violations = Violations::new();
    let line = violations.check(
        "line",
        u32::try_from(row.line).map_err(|_| Rule::new("INT32_RANGE", "must be at least 0")),
    );
    let tags = row.tags.iter().enumerate();
    let tags: Vec<TagName> = tags
        .filter_map(|(position, tag)| violations.check(format!("tags[{position}]"), TagName::parse(tag)))
        .collect();
    if row.tags.len() > convert::MAX_TAGS {
        let text = format!("must have at most {} items", convert::MAX_TAGS);
        violations.add("tags", Rule::new("REPEATED_MAX_ITEMS", text));
    }
    let todo = pb::CreateTodoRequest {
        title: row.title.clone(),
        description: row.description.clone(),
        completed: row.completed,
        due_at: row.due_at,
        priority: row.priority,
        tag_ids: Vec::new(),
    };
    let todo = convert::new_todo(
        &todo,
        "",
        imported_id(import, line.unwrap_or_default()),
        &mut violations,
    );
    let Err(invalid) = violations.finish() else {
        return todo.map(|todo| ImportedTodo { todo, tags });
    };
    errors.extend(invalid.into_iter().map(|violation| pb::ImportError {
        line: row.line,
        field: violation.field,
        reason: violation.rule.name.to_owned(),
        message: violation.rule.text,
    }));
    None
}
