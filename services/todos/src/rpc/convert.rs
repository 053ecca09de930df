//! Proto ↔ domain: the one place where the two meet. Past it, nobody checks a field again.

use prost_types::Timestamp;
use quartet_kernel::{InvalidFields, Rule, Violations, id, text, violations};
use quartet_proto::todos::v1 as pb;
use quartet_rpc::{Failure, mask, timestamp};
use quartet_store::page::{Page, PageRequest};
use time::OffsetDateTime;
use uuid::Uuid;

use crate::Error;
use crate::domain::{
    ChangeKind, Description, Edit, Filter, Key, NewTodo, Order, Priority, Recorded, Subject, Tag, TagName, TagRef,
    Title, Todo,
};
use crate::feed::{FeedEvent, Start, resume_token};

/// Items of a batch at the most.
pub(super) const MAX_BATCH: usize = 100;
/// Tags on a todo at the most.
pub(super) const MAX_TAGS: usize = 20;
/// Tags of a filter at the most.
const MAX_FILTER_TAGS: usize = 10;

/// A parsed list request.
pub(super) struct List {
    pub(super) filter: Filter,
    pub(super) order: Order,
    pub(super) page: Page<Key>,
    /// Identifies this list among all others, for page tokens.
    pub(super) signature: String,
}

pub(super) fn id(field: &str, text: &str) -> Result<Uuid, InvalidFields> {
    id::parse(text).map_err(|rule| violations::one(field, rule))
}

/// Ids, each once, in the order of their first mention.
pub(super) fn ids(field: &str, texts: &[String], violations: &mut Violations) -> Vec<Uuid> {
    let mut ids = Vec::with_capacity(texts.len());
    for (position, text) in texts.iter().enumerate() {
        if let Some(id) = violations.check(format!("{field}[{position}]"), id::parse(text))
            && !ids.contains(&id)
        {
            ids.push(id);
        }
    }
    ids
}

pub(super) fn batch_size(size: usize) -> Result<(), Rule> {
    match size {
        0 => Err(Rule::new("REPEATED_MIN_ITEMS", "must have at least 1 item")),
        1..=MAX_BATCH => Ok(()),
        _ => Err(Rule::new(
            "REPEATED_MAX_ITEMS",
            format!("must have at most {MAX_BATCH} items"),
        )),
    }
}

/// The value of a field that has passed its check; its absence would be a mistake in this file.
pub(super) fn checked<T>(value: Option<T>) -> Result<T, Failure> {
    value.ok_or_else(Failure::internal)
}

/// A tag of a body that is not the caller's is a field that breaks a rule: what the call is about
/// is there. `lists` are the tags of the request, each with the path of its field.
pub(super) fn unknown_tag<'a>(error: Error, lists: impl IntoIterator<Item = (String, &'a [String])>) -> Error {
    let Error::TagNotFound { id } = error else {
        return error;
    };
    let mut violations = Violations::new();
    for (field, ids) in lists {
        for (position, text) in ids.iter().enumerate() {
            if id::parse(text) == Ok(id) {
                violations.add(
                    format!("{field}[{position}]"),
                    Rule::new("TAG_NOT_FOUND", "is not one of your tags"),
                );
            }
        }
    }
    violations.finish().err().map_or(error, Error::from)
}

/// The one todo that was made.
pub(super) fn only(mut todos: Vec<Todo>) -> Result<Todo, Failure> {
    checked(todos.pop())
}

/// `prefix` stands before the names of fields, such as `todos[3].`.
pub(super) fn new_todo(
    todo: &pb::CreateTodoRequest,
    prefix: &str,
    id: Uuid,
    violations: &mut Violations,
) -> Option<NewTodo> {
    let field = |name: &str| format!("{prefix}{name}");
    let title = violations.check(field("title"), Title::parse(&todo.title));
    let description = violations.check(field("description"), description(todo.description.as_deref()));
    let due_at = violations.check(field("due_at"), timestamp::parse(todo.due_at.as_ref()));
    let priority = violations.check(field("priority"), priority(todo.priority));
    let tag_ids = tag_ids(&field("tag_ids"), &todo.tag_ids, violations);
    Some(NewTodo {
        id,
        title: title?,
        description: description?,
        completed: todo.completed,
        due_at: due_at?,
        priority: priority?,
        tag_ids,
    })
}

pub(super) fn edit(request: &pb::UpdateTodoRequest) -> Result<(Uuid, Edit), Failure> {
    const FIELDS: &[&str] = &["title", "description", "completed", "due_at", "priority", "tag_ids"];
    let mut violations = Violations::new();
    let id = violations.check("todo_id", id::parse(&request.todo_id));
    let todo = request.todo.clone().unwrap_or_default();
    let mask = mask::parse(request.update_mask.as_ref(), FIELDS, &mut violations);
    let has = |name: &str| mask.contains(&name);
    let edit = Edit {
        title: has("title")
            .then(|| violations.check("todo.title", Title::parse(&todo.title)))
            .flatten(),
        description: has("description")
            .then(|| violations.check("todo.description", description(todo.description.as_deref())))
            .flatten(),
        completed: has("completed").then_some(todo.completed),
        due_at: has("due_at")
            .then(|| violations.check("todo.due_at", timestamp::parse(todo.due_at.as_ref())))
            .flatten(),
        priority: has("priority")
            .then(|| violations.check("todo.priority", priority(todo.priority)))
            .flatten(),
        tag_ids: has("tag_ids").then(|| tag_ids("todo.tag_ids", &todo.tag_ids, &mut violations)),
    };
    violations.finish()?;
    Ok((checked(id)?, edit))
}

pub(super) fn list(owner: Uuid, request: &pb::ListTodosRequest) -> Result<List, Failure> {
    let mut violations = Violations::new();
    let order = violations.check("sort", Order::parse(&request.sort));
    if request.tag.len() > MAX_FILTER_TAGS {
        violations.add(
            "tag",
            Rule::new(
                "REPEATED_MAX_ITEMS",
                format!("must have at most {MAX_FILTER_TAGS} items"),
            ),
        );
    }
    let tags = request.tag.iter().take(MAX_FILTER_TAGS).enumerate();
    let tags = tags.filter_map(|(position, tag)| violations.check(format!("tag[{position}]"), TagName::parse(tag)));
    let tags: Vec<String> = tags.map(|tag| tag.as_str().to_owned()).collect();
    let q = violations.check("q", text::line(&request.q, 0, 100));
    let due_before = violations.check("due_before", timestamp::parse(request.due_before.as_ref()));
    let due_after = violations.check("due_after", timestamp::parse(request.due_after.as_ref()));
    let priority = violations.check("priority", request.priority.map(priority).transpose());
    // Everything but the page decides which list it is.
    let named = pb::ListTodosRequest {
        page: None,
        items_per_page: None,
        page_size: None,
        page_token: String::new(),
        ..request.clone()
    };
    let signature = format!("todos of {owner}: {named:?}");
    let requested = PageRequest {
        page: request.page,
        items_per_page: request.items_per_page,
        page_size: request.page_size,
        page_token: &request.page_token,
    };
    let page = Page::parse(requested, &signature, &mut violations);
    violations.finish()?;
    let filter = Filter {
        completed: request.completed,
        tags,
        q: q.filter(|q| !q.is_empty()).map(|q| q.to_lowercase()),
        due_before: due_before.flatten(),
        due_after: due_after.flatten(),
        priority: priority.flatten(),
        deleted: request.deleted,
    };
    Ok(List {
        filter,
        order: checked(order)?,
        page: checked(page)?,
        signature,
    })
}

pub(super) fn rename(request: &pb::UpdateTagRequest) -> Result<(Uuid, TagName), Failure> {
    let mut violations = Violations::new();
    let id = violations.check("tag_id", id::parse(&request.tag_id));
    mask::parse(request.update_mask.as_ref(), &["name"], &mut violations);
    let name = request.tag.as_ref().map_or("", |tag| &tag.name);
    let name = violations.check("tag.name", TagName::parse(name));
    violations.finish()?;
    Ok((checked(id)?, checked(name)?))
}

pub(super) fn todo(todo: Todo) -> pb::Todo {
    pb::Todo {
        etag: todo.etag().to_string(),
        id: todo.id.to_string(),
        title: todo.title,
        description: todo.description,
        completed: todo.completed_at.is_some(),
        completed_at: timestamp(todo.completed_at),
        due_at: timestamp(todo.due_at),
        priority: match todo.priority {
            Priority::Unspecified => pb::Priority::Unspecified,
            Priority::Low => pb::Priority::Low,
            Priority::Medium => pb::Priority::Medium,
            Priority::High => pb::Priority::High,
        }
        .into(),
        tags: todo.tags.into_iter().map(tag_ref).collect(),
        user_id: todo.user_id.to_string(),
        created_at: timestamp(Some(todo.created_at)),
        updated_at: timestamp(Some(todo.updated_at)),
        deleted_at: timestamp(todo.deleted_at),
    }
}

pub(super) fn tag(tag: Tag) -> pb::Tag {
    pb::Tag {
        etag: tag.etag().to_string(),
        id: tag.id.to_string(),
        name: tag.name,
        user_id: tag.user_id.to_string(),
        created_at: timestamp(Some(tag.created_at)),
        updated_at: timestamp(Some(tag.updated_at)),
    }
}

/// Where a stream of changes begins. A token from another user's feed is what a browser sends after
/// its user has changed: it gets a reset.
pub(super) fn start(owner: Uuid, token: &str) -> Result<Start, InvalidFields> {
    if token.is_empty() {
        return Ok(Start::Now);
    }
    match resume_token::read(owner, token) {
        Some(resume_token::Read::Mine(position)) => Ok(Start::After(position)),
        Some(resume_token::Read::Foreign) => Ok(Start::Unknown),
        None => Err(violations::one(
            "resume_token",
            Rule::new("RESUME_TOKEN", "must be the id of a change"),
        )),
    }
}

pub(super) fn change(owner: Uuid, event: FeedEvent) -> pb::TodoChange {
    use pb::todo_change::Kind;
    let (position, kind) = match event {
        FeedEvent::Change(recorded) => return recorded_change(owner, *recorded),
        FeedEvent::Ready(position) => (position, Kind::Ready),
        FeedEvent::Reset(position) => (position, Kind::Reset),
    };
    pb::TodoChange {
        id: resume_token::write(owner, position),
        kind: kind.into(),
        ..Default::default()
    }
}

fn recorded_change(owner: Uuid, recorded: Recorded) -> pb::TodoChange {
    use pb::todo_change::Kind;
    let Recorded { position, at, change } = recorded;
    let kind = match change.kind {
        ChangeKind::Created => Kind::Created,
        ChangeKind::Updated => Kind::Updated,
        ChangeKind::Completed => Kind::Completed,
        ChangeKind::Reopened => Kind::Reopened,
        ChangeKind::Deleted => Kind::Deleted,
        ChangeKind::Restored => Kind::Restored,
        ChangeKind::Purged => Kind::Purged,
        ChangeKind::TagRenamed => Kind::TagRenamed,
        ChangeKind::TagDeleted => Kind::TagDeleted,
    };
    let is_tag = matches!(kind, Kind::TagRenamed | Kind::TagDeleted);
    let (todo_of, tag_of) = match change.subject {
        Subject::Todo(subject) => (Some(todo(*subject)), None),
        Subject::Tag(subject) => (None, Some(tag_ref(subject))),
        Subject::Gone => (None, None),
    };
    pb::TodoChange {
        id: resume_token::write(owner, position),
        kind: kind.into(),
        todo_id: (!is_tag).then(|| change.subject_id.to_string()),
        todo: todo_of,
        tag: tag_of,
        changed_at: timestamp(Some(at)),
    }
}

fn tag_ref(tag: TagRef) -> pb::TagRef {
    pb::TagRef {
        id: tag.id.to_string(),
        name: tag.name,
    }
}

fn timestamp(time: Option<OffsetDateTime>) -> Option<Timestamp> {
    time.map(timestamp::to_proto)
}

/// An empty description is none.
fn description(text: Option<&str>) -> Result<Option<Description>, Rule> {
    text.filter(|text| !text.is_empty()).map(Description::parse).transpose()
}

fn priority(number: i32) -> Result<Priority, Rule> {
    let wrong = |_| Rule::new("ENUM_DEFINED_ONLY", "must be one of the defined values");
    Ok(match pb::Priority::try_from(number).map_err(wrong)? {
        pb::Priority::Unspecified => Priority::Unspecified,
        pb::Priority::Low => Priority::Low,
        pb::Priority::Medium => Priority::Medium,
        pb::Priority::High => Priority::High,
    })
}

fn tag_ids(field: &str, texts: &[String], violations: &mut Violations) -> Vec<Uuid> {
    if texts.len() > MAX_TAGS {
        violations.add(
            field,
            Rule::new("REPEATED_MAX_ITEMS", format!("must have at most {MAX_TAGS} items")),
        );
        return Vec::new();
    }
    ids(field, texts, violations)
}
