//! The description of the suite, and of a contract made for the test.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use quartet_config::Source;
use quartet_proto::descriptors;

use super::*;
use crate::routes::Routes;

fn describe(pool: &DescriptorPool) -> Value {
    let config = Config::read(&Source::of([("CONTACT_NAME", "Ada"), ("APP_VERSION", "9.8.7")])).unwrap();
    let routes = Routes::compile(pool).unwrap();
    document(pool, &comments(pool), routes.bindings(), &Info::from(&config))
}

/// The comments of a pool, which the one of the contracts does not have itself.
fn comments(pool: &DescriptorPool) -> Comments {
    if pool == descriptors::pool() {
        Comments::of_contracts()
    } else {
        Comments::read(pool.file_descriptor_protos())
    }
}

fn suite() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| describe(descriptors::pool()));
    &DOCUMENT
}

fn kitchen() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| describe(crate::testing::pool()));
    &DOCUMENT
}

/// Calls `visit` with every object in a document.
fn walk<'a>(value: &'a Value, visit: &mut dyn FnMut(&'a Object)) {
    match value {
        Value::Object(object) => {
            visit(object);
            object.values().for_each(|value| walk(value, visit));
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, visit)),
        _ => {}
    }
}

fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(verb, operation)| (path.as_str(), verb.as_str(), operation))
        })
        .collect()
}

fn operation<'a>(document: &'a Value, id: &str) -> &'a Value {
    operations(document)
        .into_iter()
        .map(|(.., operation)| operation)
        .find(|operation| operation["operationId"] == id)
        .unwrap()
}

fn schema<'a>(document: &'a Value, name: &str) -> &'a Value {
    let schema = &document["components"]["schemas"][name];
    assert!(schema.is_object(), "{name}");
    schema
}

fn parameter<'a>(operation: &'a Value, name: &str) -> &'a Value {
    operation["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .find(|parameter| parameter["name"] == name)
        .unwrap()
}

#[test]
fn every_binding_is_an_operation_with_an_id_of_its_own() {
    let routes = Routes::compile(descriptors::pool()).unwrap();
    let all = operations(suite());
    assert_eq!(all.len(), routes.bindings().len());
    let ids: BTreeSet<_> = all
        .iter()
        .map(|(.., operation)| operation["operationId"].as_str().unwrap())
        .collect();
    assert_eq!(ids.len(), all.len());
    for binding in routes.bindings() {
        let verb = binding.verb.to_ascii_lowercase();
        assert!(
            all.iter()
                // A variable with a text of its own, such as `{user_id=me}`, is that text in OpenAPI.
                .any(|(path, found, _)| *path == binding.template.replace("{user_id=me}", "me") && *found == verb),
            "{verb} {}",
            binding.template
        );
    }
    assert!(ids.contains("TodoService_UpdateTodo") && ids.contains("TodoService_UpdateTodo_2"));
}

#[test]
fn every_reference_has_a_target() {
    for document in [suite(), kitchen()] {
        let mut references = BTreeSet::new();
        walk(document, &mut |object| {
            references.extend(object.get("$ref").and_then(Value::as_str));
        });
        assert!(references.len() > 5);
        for reference in references {
            let target = document.pointer(reference.strip_prefix('#').unwrap());
            assert!(target.is_some_and(Value::is_object), "{reference}");
        }
    }
}

#[test]
fn every_path_parameter_is_declared_and_required() {
    for document in [suite(), kitchen()] {
        for (path, verb, operation) in operations(document) {
            let in_text: BTreeSet<&str> = path
                .split('{')
                .skip(1)
                .map(|rest| rest.split('}').next().unwrap())
                .collect();
            let declared = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "path");
            let declared: BTreeSet<&str> = declared
                .map(|parameter| {
                    assert_eq!(parameter["required"], true, "{verb} {path}");
                    parameter["name"].as_str().unwrap()
                })
                .collect();
            assert_eq!(in_text, declared, "{verb} {path}");
        }
    }
}

#[test]
fn examples_pass_the_rules_of_their_schema() {
    let mut seen = 0;
    walk(suite(), &mut |object| {
        let schema = object.get("schema").and_then(Value::as_object).unwrap_or(object);
        let examples = object
            .get("example")
            .into_iter()
            .chain(object.get("examples").and_then(Value::as_array).into_iter().flatten());
        for example in examples.filter(|_| schema.contains_key("type") || schema.contains_key("anyOf")) {
            if example == &json!([]) {
                assert!(schema.get("minItems").is_none());
                continue;
            }
            let value = example.get(0).unwrap_or(example);
            let schema = if example.is_array() {
                schema["items"].as_object().unwrap()
            } else {
                schema
            };
            if let Some(text) = value.as_str() {
                assert!(examples::passes(text, schema), "{text} {schema:?}");
                let listed = schema
                    .get("enum")
                    .and_then(Value::as_array)
                    .is_none_or(|values| values.contains(value));
                assert!(listed, "{text} {schema:?}");
                if schema.get("format") == Some(&json!("uuid")) {
                    assert!(uuid::Uuid::try_parse(text).is_ok());
                }
            }
            if let Some(number) = value.as_i64() {
                let bound = |keyword| schema.get(keyword).and_then(Value::as_i64);
                assert!(bound("minimum").unwrap_or(number) <= number && number <= bound("maximum").unwrap_or(number));
            }
            seen += 1;
        }
    });
    assert!(seen > 50, "{seen}");
}

#[test]
fn secrets_have_no_examples_and_cookies_are_not_in_bodies() {
    walk(suite(), &mut |object| {
        if let Some(properties) = object.get("properties").and_then(Value::as_object) {
            assert!(!properties.contains_key("refresh_cookie"));
            for (name, property) in properties
                .iter()
                .filter(|(name, _)| name.contains("password") || name.ends_with("_token"))
            {
                assert!(
                    name == "next_page_token" || property.get("examples").is_none(),
                    "{name}"
                );
            }
        }
    });
    let refresh = operation(suite(), "AuthService_Refresh");
    assert_eq!(parameter(refresh, "refresh_token")["in"], "cookie");
    assert!(refresh["responses"]["200"]["headers"]["Set-Cookie"].is_object());
}

#[test]
fn rules_become_keywords() {
    let register = schema(suite(), "RegisterRequest");
    assert_eq!(register["required"], json!(["username", "email", "password"]));
    assert_eq!(register["additionalProperties"], false);
    let property = |name: &str| &register["properties"][name];
    assert_eq!(
        (&property("username")["minLength"], &property("username")["maxLength"]),
        (&json!(2), &json!(20))
    );
    assert_eq!(property("username")["pattern"], "^[a-z0-9]+$");
    assert_eq!(property("email")["format"], "email");
    assert_eq!(property("password")["format"], "password");
    assert_eq!(property("use_cookie")["type"], json!(["boolean", "null"]));
    // Empty means "use the user name".
    assert_eq!(property("name")["anyOf"][0], json!({"type": "string", "const": ""}));
    assert_eq!(
        (
            &property("name")["anyOf"][1]["minLength"],
            &property("name")["anyOf"][2]
        ),
        (&json!(2), &json!({"type": "null"}))
    );

    let create = schema(suite(), "CreateTodoRequest");
    assert_eq!(create["properties"]["tag_ids"]["maxItems"], 20);
    assert_eq!(create["properties"]["tag_ids"]["items"]["format"], "uuid");
    assert_eq!(
        schema(suite(), "BatchCreateTodosRequest")["properties"]["todos"]["minItems"],
        1
    );
    let status = schema(suite(), "SetStatusRequestBody");
    assert_eq!(
        status["properties"]["status"]["enum"],
        json!(["ACCOUNT_STATUS_ACTIVE", "ACCOUNT_STATUS_DISABLED"])
    );
    assert_eq!(status["required"], json!(["status"]));
    let limit = schema(suite(), "CreateRateLimitRequestBody");
    assert_eq!(
        (
            &limit["properties"]["limit"]["minimum"],
            &limit["properties"]["limit"]["maximum"]
        ),
        (&json!(1), &json!(1_000_000))
    );
    assert_eq!(limit["properties"]["path"]["pattern"], "^([A-Za-z]+ )?/");
}

#[test]
fn a_patch_requires_nothing_and_a_put_what_has_no_valid_default() {
    let body = |id| {
        operation(suite(), id)["requestBody"]["content"]["application/json"]["schema"]["$ref"]
            .as_str()
            .unwrap()
    };
    assert_eq!(body("TodoService_UpdateTodo"), "#/components/schemas/TodoEditPatch");
    assert_eq!(body("TodoService_UpdateTodo_2"), "#/components/schemas/TodoEdit");
    assert!(schema(suite(), "TodoEditPatch").get("required").is_none());
    assert_eq!(schema(suite(), "TodoEditPatch")["minProperties"], 1);
    assert_eq!(schema(suite(), "TodoEdit")["required"], json!(["title"]));
    // Null clears a field that may be empty.
    let properties = &schema(suite(), "TodoEditPatch")["properties"];
    assert_eq!(properties["description"]["type"], json!(["string", "null"]));
    assert_eq!(properties["title"]["type"], "string");
    assert_eq!(properties["due_at"]["format"], "date-time");
}

#[test]
fn replies_always_have_the_fields_without_presence() {
    let todo = schema(suite(), "Todo");
    assert_eq!(
        todo["required"],
        json!(["id", "title", "completed", "priority", "tags", "user_id", "etag"])
    );
    assert_eq!(todo["properties"]["priority"]["$ref"], "#/components/schemas/Priority");
    assert_eq!(schema(suite(), "Priority")["enum"][3], "PRIORITY_HIGH");
    assert!(
        schema(suite(), "Priority")["description"]
            .as_str()
            .unwrap()
            .contains("- `PRIORITY_HIGH`: Comes first.")
    );
}

#[test]
fn filters_are_query_parameters() {
    let list = operation(suite(), "TodoService_ListTodos");
    assert_eq!(list["tags"], json!(["Todo"]));
    let tag = parameter(list, "tag");
    assert_eq!(
        (&tag["schema"]["type"], &tag["explode"], &tag["schema"]["maxItems"]),
        (&json!("array"), &json!(true), &json!(10))
    );
    assert_eq!(parameter(list, "due_before")["schema"]["format"], "date-time");
    assert!(
        parameter(list, "sort")["schema"]["enum"]
            .as_array()
            .unwrap()
            .contains(&json!("-due_at"))
    );
    assert!(parameter(list, "page").get("required").is_none());
    assert_eq!(parameter(list, "page")["schema"]["minimum"], 1);
    let mask = parameter(operation(suite(), "TierService_UpdateTier"), "update_mask");
    assert_eq!(mask["schema"]["pattern"], "^((name)(,(name))*)?$");
}

#[test]
fn responses_list_the_success_and_the_failures() {
    let create = operation(suite(), "TodoService_CreateTodo");
    let codes = |operation: &Value| {
        operation["responses"]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        codes(create),
        ["201", "400", "401", "409", "413", "415", "422", "429", "default"]
    );
    assert!(create["responses"]["201"]["headers"]["Idempotency-Replayed"].is_object());
    assert_eq!(parameter(create, "Idempotency-Key")["in"], "header");
    assert!(create["responses"]["201"]["headers"]["Location"].is_object());
    let update = operation(suite(), "TodoService_UpdateTodo");
    assert!(
        update["responses"]["404"]["description"]
            .as_str()
            .unwrap()
            .contains("`todo_not_found`")
    );
    let problem = &update["responses"]["404"]["content"]["application/problem+json"];
    assert_eq!(problem["schema"]["$ref"], "#/components/schemas/Problem");
    assert_eq!(
        problem["examples"]["todo_not_found"]["$ref"],
        "#/components/examples/todo_not_found"
    );
    let example = &suite()["components"]["examples"]["todo_not_found"]["value"];
    assert_eq!(
        (&example["error_code"], &example["status"]),
        (&json!("todo_not_found"), &json!(404))
    );

    // A reply with a secret is never kept.
    let login = operation(suite(), "AuthService_Login");
    assert!(
        login["responses"]["400"]["description"]
            .as_str()
            .unwrap()
            .contains("`idempotency_key_refused`")
    );
    assert!(!login["parameters"].to_string().contains("Idempotency-Key"));

    let purge = operation(suite(), "TodoService_PurgeTodo");
    assert_eq!(
        codes(purge),
        ["204", "400", "401", "403", "404", "412", "422", "429", "default"]
    );
    assert_eq!(parameter(purge, "If-Match")["in"], "header");
    assert!(create["responses"]["201"]["headers"]["ETag"].is_object());
    assert!(purge["responses"]["204"].get("content").is_none());
    assert!(purge["description"].as_str().unwrap().ends_with("For superusers only."));
    // The comment is its first sentence, which is the summary, and its errors, which stand with the
    // responses.
    assert_eq!(
        (create["summary"].as_str(), create.get("description")),
        (Some("Makes a todo"), None)
    );
}

#[test]
fn security_follows_the_access_policy() {
    assert_eq!(operation(suite(), "AuthService_Login")["security"], json!([]));
    assert_eq!(
        operation(suite(), "TodoService_ListTodos")["security"],
        json!([{"password": []}, {"bearer": []}])
    );
    let schemes = &suite()["components"]["securitySchemes"];
    assert_eq!(
        schemes["password"]["flows"]["password"]["tokenUrl"],
        "/api/v1/auth/token"
    );
    assert_eq!(schemes["bearer"]["bearerFormat"], "JWT");
    let token = operation(suite(), "AuthService_Token")["requestBody"]["content"]
        .as_object()
        .unwrap();
    assert_eq!(token.keys().next().unwrap(), "application/x-www-form-urlencoded");
}

#[test]
fn messages_of_one_name_are_distinguished_by_their_package() {
    let names: Vec<&String> = suite()["components"]["schemas"].as_object().unwrap().keys().collect();
    assert!(
        names
            .iter()
            .all(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))),
        "{names:?}"
    );
    // Nothing but what an operation needs is described.
    assert!(
        !names
            .iter()
            .any(|name| name.contains("EnsureUser") || name.contains("WatchRevocations"))
    );
}

#[test]
fn the_info_comes_from_the_settings() {
    let info = &suite()["info"];
    assert_eq!(
        (&info["title"], &info["version"], &info["contact"]),
        (&json!("Quartet"), &json!("9.8.7"), &json!({"name": "Ada"}))
    );
    let source = Source::of([
        ("APP_NAME", "Ours"),
        ("APP_DESCRIPTION", "What it is for"),
        ("CONTACT_EMAIL", "ada@example.org"),
        ("LICENSE_NAME", "Apache-2.0"),
    ]);
    let pool = crate::testing::pool();
    let mut info = Info::from(&Config::read(&source).unwrap());
    info.address = "https://api.example.org".to_owned();
    let guide = document(
        descriptors::pool(),
        &Comments::of_contracts(),
        Routes::compile(descriptors::pool()).unwrap().bindings(),
        &info,
    );
    let guide = guide["info"]["description"].as_str().unwrap();
    assert!(
        guide.contains("API=https://api.example.org\n") && !guide.contains("localhost"),
        "{guide}"
    );
    let routes = Routes::compile(pool).unwrap();
    let info = document(pool, &comments(pool), routes.bindings(), &info)["info"].take();
    assert_eq!(
        (&info["title"], &info["description"], &info["contact"], &info["license"]),
        (
            &json!("Ours"),
            &json!("What it is for"),
            &json!({"email": "ada@example.org"}),
            &json!({"name": "Apache-2.0"})
        )
    );
    assert_eq!(suite()["openapi"], "3.1.1");
}

#[test]
fn groups_stand_in_their_declared_order_and_a_guide_comes_first() {
    let groups: Vec<&str> = suite()["tags"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| tag["name"].as_str().unwrap())
        .collect();
    assert_eq!(groups[..4], ["Todo", "Tag", "User", "Auth"]);
    let at = |name| groups.iter().position(|group| *group == name).unwrap();
    assert!(at("Auth") < at("Task") && at("Task") < at("Webhook") && at("Webhook") < at("Tier"));
    let description = suite()["info"]["description"].as_str().unwrap();
    for named in ["tasks, webhooks", "## First request", "/api/v1/auth/register"] {
        assert!(description.contains(named), "{named}");
    }
    assert!(!kitchen()["info"]["description"].as_str().unwrap().contains("##"));
    // The text of a link, which is no Markdown.
    assert!(!suite()["externalDocs"]["description"].as_str().unwrap().contains('`'));
}

#[test]
fn examples_are_true() {
    let text = suite().to_string();
    for example in ["\"examples\":[\"Ada\"]", "\"example\":\"Ada\""] {
        let shown = text.matches(example).count();
        assert!(shown <= 14, "{shown} {example}");
    }
    walk(suite(), &mut |object| {
        for example in object.get("examples").and_then(Value::as_array).into_iter().flatten() {
            assert!(!example.to_string().contains("_UNSPECIFIED"), "{example}");
        }
    });
    let named = |component: &str| schema(suite(), component)["properties"]["name"]["examples"][0].clone();
    assert_eq!(
        [named("Tag"), named("CreateTagRequest"), named("Tier"), named("User")],
        [json!("home"), json!("home"), json!("pro"), json!("Ada")]
    );
    let todo = &schema(suite(), "Todo")["examples"][0];
    assert_eq!(
        (
            &todo["tags"][0]["name"],
            &todo["completed"],
            todo.get("deleted_at"),
            todo.get("completed_at")
        ),
        (&json!("home"), &json!(false), None, None)
    );
    assert_eq!(schema(suite(), "ListTodosResponse")["examples"][0]["data"][0], *todo);
    let task = &schema(suite(), "Task")["examples"][0];
    assert_eq!(
        (
            &task["status"],
            &task["export_todos"]["format"],
            task.get("export"),
            task.get("started_at")
        ),
        (&json!("TASK_STATUS_SCHEDULED"), &json!("FILE_FORMAT_CSV"), None, None)
    );
    // One with a secret has none.
    assert!(schema(suite(), "TokenResponse").get("examples").is_none());
}

#[test]
fn each_kind_of_a_request_is_an_example_of_its_own() {
    let body = &operation(suite(), "TaskService_CreateTask")["requestBody"]["content"]["application/json"];
    let examples = body["examples"].as_object().unwrap();
    assert_eq!(
        examples.keys().collect::<BTreeSet<_>>(),
        ["export_todos", "purge_deleted", "remind_due"]
            .map(str::to_owned)
            .iter()
            .collect()
    );
    for (name, example) in examples {
        let value = example["value"].as_object().unwrap();
        assert_eq!(value.keys().collect::<Vec<_>>(), [name]);
        assert!(example["summary"].as_str().is_some_and(|summary| summary.len() > 10));
    }
    assert_eq!(
        examples["export_todos"]["value"]["export_todos"]["format"],
        "FILE_FORMAT_CSV"
    );
    let choices = schema(suite(), "CreateTaskRequest")["anyOf"].as_array().unwrap();
    assert_eq!(choices[0]["title"], choices[0]["required"][0]);
}

#[test]
fn an_upload_has_a_field_to_choose_a_file_with() {
    let content = &operation(suite(), "TaskService_UploadImport")["requestBody"]["content"];
    let form = &content["multipart/form-data"]["schema"];
    assert_eq!(
        (&form["properties"]["file"]["format"], &form["required"]),
        (&json!("binary"), &json!(["file"]))
    );
    assert!(content["application/octet-stream"].is_object());
}

#[test]
fn a_deprecated_method_is_shown_as_one() {
    let deprecated: Vec<_> = operations(kitchen())
        .into_iter()
        .filter(|(.., operation)| operation["deprecated"] == true)
        .map(|(path, verb, _)| format!("{verb} {path}"))
        .collect();
    assert_eq!(deprecated, ["post /v1/dishes/{dish_id}:cook"]);
}

#[test]
fn a_list_with_pages_has_them_by_number_and_by_token() {
    let names = ["page", "items_per_page", "page_size", "page_token"];
    let mut lists = 0;
    for (path, verb, operation) in operations(suite()) {
        let parameters = operation["parameters"].as_array();
        let given: Vec<_> = parameters
            .into_iter()
            .flatten()
            .filter_map(|one| one["name"].as_str())
            .collect();
        if verb == "get" && given.contains(&"page") {
            lists += 1;
            assert!(names.iter().all(|name| given.contains(name)), "{path}: {given:?}");
        }
    }
    assert!(lists >= 6, "{lists}");
}
