use http::{Method, StatusCode};
use quartet_proto::descriptors;

use super::*;
use crate::testing;

fn kitchen() -> Routes {
    Routes::compile(testing::pool()).unwrap()
}

/// The template and the captures that serve a request.
fn found(routes: &Routes, verb: &str, path: &str) -> Option<(String, Vec<String>)> {
    match routes.find(&Method::from_bytes(verb.as_bytes()).unwrap(), path) {
        Found::Match(found) => {
            let captures = found
                .captures()
                .unwrap()
                .into_iter()
                .map(std::borrow::Cow::into_owned)
                .collect();
            Some((found.binding.template.clone(), captures))
        }
        _ => None,
    }
}

#[test]
fn the_suite_s_own_routes_compile() {
    let routes = Routes::compile(descriptors::pool()).unwrap();
    assert!(routes.bindings().len() > 20);
    assert_eq!(
        found(&routes, "POST", "/api/v1/todos/0198:complete").unwrap(),
        ("/api/v1/todos/{todo_id}:complete".to_owned(), vec!["0198".to_owned()])
    );
    assert_eq!(
        found(&routes, "POST", "/api/v1/todos:batchCreate").unwrap().0,
        "/api/v1/todos:batchCreate"
    );
}

#[test]
fn requests_reach_the_most_specific_template() {
    let routes = kitchen();
    for (verb, path, template, captures) in [
        ("GET", "/v1/dishes/7", "/v1/dishes/{dish_id}", &["7"][..]),
        ("GET", "/v1/dishes/mine", "/v1/dishes/mine", &[]),
        ("GET", "/v1/dishes/%6dine", "/v1/dishes/mine", &[]),
        ("HEAD", "/v1/dishes/mine", "/v1/dishes/mine", &[]),
        (
            "GET",
            "/v1/menus/a/dishes/b",
            "/v1/menus/{menu.id}/dishes/{dish_id}",
            &["a", "b"],
        ),
        ("POST", "/v1/dishes/7:cook", "/v1/dishes/{dish_id}:cook", &["7"]),
        ("POST", "/v1/dishes/a:b:cook", "/v1/dishes/{dish_id}:cook", &["a:b"]),
        // No template has the verb `b`: the colon is part of the value.
        ("GET", "/v1/dishes/a:b", "/v1/dishes/{dish_id}", &["a:b"]),
        ("GET", "/v1/dishes/a%3Acook", "/v1/dishes/{dish_id}", &["a:cook"]),
        ("GET", "/v1/dishes/a%2Fb%20c%C3%A4", "/v1/dishes/{dish_id}", &["a/b cä"]),
        (
            "GET",
            "/v1/shelves/1/jars/2",
            "/v1/{name=shelves/*/jars/*}",
            &["shelves/1/jars/2"],
        ),
        (
            "GET",
            "/v1/shelves/a%2Fb/jars/c%20d",
            "/v1/{name=shelves/*/jars/*}",
            &["shelves/a%2Fb/jars/c d"],
        ),
        ("GET", "/v1/files", "/v1/files/{name=**}", &[""]),
        ("GET", "/v1/files/", "/v1/files/{name=**}", &[""]),
        ("GET", "/v1/files/a/b%2fc/d", "/v1/files/{name=**}", &["a/b%2fc/d"]),
        ("GET", "/v1/files/a/b:raw", "/v1/files/{name=**}:raw", &["a/b"]),
        ("GET", "/v1/files/a:b/c", "/v1/files/{name=**}", &["a:b/c"]),
        ("PURGE", "/v1/any/x", "/v1/any/{name}", &["x"]),
        ("REPORT", "/v1/reports/x", "/v1/reports/{name}", &["x"]),
    ] {
        let expected = Some((
            template.to_owned(),
            captures.iter().map(|text| (*text).to_owned()).collect(),
        ));
        assert_eq!(found(&routes, verb, path), expected, "{verb} {path}");
    }
}

#[test]
fn paths_that_no_template_takes_are_not_found() {
    let routes = kitchen();
    for path in [
        "/",
        "",
        "/v1",
        "/v1/dishes",
        "/v1/dishes/",
        "/v1/dishes/a/",
        "/v1//dishes/a",
        "/v1/menus//dishes/b",
        "/v1/shelves/1/jars",
        "/v2/dishes/a",
        "v1/dishes/a",
    ] {
        assert!(matches!(routes.find(&Method::GET, path), Found::NotFound), "{path}");
        assert!(routes.allowed(path).is_empty(), "{path}");
    }
}

#[test]
fn a_known_path_with_another_method_is_405_and_lists_the_methods() {
    let routes = kitchen();
    let Found::MethodNotAllowed { allow } = routes.find(&Method::POST, "/v1/dishes/7") else {
        panic!("POST is not of the path");
    };
    let problem = not_allowed(&allow);
    assert_eq!(
        (problem.status, problem.reason.as_str()),
        (StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED")
    );
    assert_eq!(
        problem.headers,
        [(
            http::header::ALLOW,
            http::HeaderValue::from_static("DELETE, GET, HEAD, PATCH, PUT")
        )]
    );
    let trace = routes.find(&Method::TRACE, "/v1/dishes/7");
    assert!(matches!(trace, Found::MethodNotAllowed { .. }));
    assert_eq!(routes.allowed("/v1/dishes/7:cook"), ["POST"]);
    // The most specific template answers for its path: this is no dish called `mine`.
    assert_eq!(routes.allowed("/v1/dishes/mine"), ["GET", "HEAD"]);
    assert!(matches!(
        routes.find(&Method::DELETE, "/v1/dishes/mine"),
        Found::MethodNotAllowed { .. }
    ));
    assert!(matches!(
        routes.find(&Method::GET, "/v1/dishes/7:cook"),
        Found::MethodNotAllowed { .. }
    ));
    assert_eq!(routes.allowed("/v1/watch/1"), ["GET", "HEAD"]);
}

#[test]
fn a_malformed_escape_in_a_capture_is_a_bad_request() {
    let routes = kitchen();
    for path in ["/v1/dishes/%zz", "/v1/dishes/%ff", "/v1/files/a/%2"] {
        let Found::Match(found) = routes.find(&Method::GET, path) else {
            panic!("{path}")
        };
        assert_eq!(found.captures().unwrap_err().status, StatusCode::BAD_REQUEST, "{path}");
    }
}

const PATHS: &str = "(/(v1|dishes|files|shelves|jars|%[0-9a-f]{0,2}|[a-zäё:%]{0,3}|:cook|:raw)){0,6}";

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig { failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_path_is_found_or_not_without_a_panic(path in PATHS) {
        let routes = kitchen();
        if let Found::Match(found) = routes.find(&Method::GET, &path) {
            let captures = found.captures();
            proptest::prop_assert!(captures.is_err() || captures.unwrap().len() == found.binding.path_fields.len());
        }
    }

    #[test]
    fn a_value_encoded_into_a_path_is_captured_as_it_was(value in "\\PC{1,20}") {
        let mut path = "/v1/dishes/".to_owned();
        percent::encode_into(&value, &mut path);
        proptest::prop_assert_eq!(found(&kitchen(), "GET", &path), Some(if value == "mine" {
            ("/v1/dishes/mine".to_owned(), vec![])
        } else {
            ("/v1/dishes/{dish_id}".to_owned(), vec![value])
        }));
    }
}

/// Compiles a service whose methods take `Request { string a; Inner b; repeated string c; }` by the
/// given rules.
fn compile(rules: &[&str]) -> Result<Routes, String> {
    let methods: String = rules
        .iter()
        .enumerate()
        .map(|(index, rule)| {
            format!("rpc M{index}(Request) returns (Request) {{ option (google.api.http) = {{ {rule} }}; }}\n")
        })
        .collect();
    let text = format!(
        "syntax = \"proto3\";\npackage t;\nimport \"google/api/annotations.proto\";\n\
         message Inner {{ string x = 1; map<string, string> m = 2; }}\n\
         message Request {{ string a = 1; Inner b = 2; repeated string c = 3; string d = 4; }}\n\
         service S {{ {methods} }}"
    );
    let pool = testing::compile(&text)?;
    Routes::compile(&pool).map_err(|error| error.to_string())
}

#[test]
fn rules_that_cannot_be_served_stop_the_start_and_name_the_method() {
    for (rule, why) in [
        ("get: \"/v1/{missing}\"", "is no field"),
        ("get: \"/v1/{b}\"", "is a message"),
        ("get: \"/v1/{c}\"", "is repeated"),
        ("get: \"/v1/{a.x}\"", "is no message"),
        ("get: \"/v1/{b.m}\"", "is repeated"),
        ("get: \"/v1/{a}/{a}\"", "twice"),
        ("get: \"/v1/{b.y}\"", "is no field"),
        ("post: \"/v1/x\" body: \"missing\"", "is no field"),
        ("post: \"/v1/{a}\" body: \"a\"", "by the path and by the body"),
        ("get: \"/v1/x\" response_body: \"missing\"", "is no field"),
        ("get: \"v1/x\"", "starts with"),
        ("get: \"/v1/**/x\"", "last segment"),
        ("body: \"*\"", "no path"),
        ("custom: {kind: \"NO GO\" path: \"/v1/x\"}", "no HTTP method"),
        (
            "get: \"/x\" additional_bindings {get: \"/y\" additional_bindings {get: \"/z\"}}",
            "one level deep",
        ),
    ] {
        let error = compile(&[rule]).unwrap_err();
        assert!(error.contains(why) && error.contains("t.S.M0"), "{rule}: {error}");
    }
}

#[test]
fn two_rules_that_take_the_same_requests_stop_the_start() {
    for rules in [
        ["get: \"/v1/{a}\"", "get: \"/v1/{d}\""],
        ["get: \"/v1/{a}\"", "get: \"/v1/*\""],
        ["get: \"/v1/{a=x/*}\"", "get: \"/v1/x/{d}\""],
        ["get: \"/v1/{a=**}\"", "get: \"/v1/**\""],
        ["post: \"/v1/{a}:go\"", "post: \"/v1/{d}:go\""],
        ["get: \"/v1/a%62\"", "get: \"/v1/ab\""],
        ["get: \"/v1/x\"", "custom: {kind: \"GET\" path: \"/v1/x\"}"],
    ] {
        let error = compile(&rules).unwrap_err();
        assert!(
            error.contains("takes the same requests") && error.contains("t.S.M0"),
            "{rules:?}: {error}"
        );
    }
    for rules in [
        ["get: \"/v1/{a}\"", "post: \"/v1/{d}\""],
        ["get: \"/v1/{a}\"", "get: \"/v1/me\""],
        ["get: \"/v1/{a}\"", "get: \"/v1/{d=**}\""],
        ["get: \"/v1/{a}\"", "get: \"/v1/{d}:go\""],
        ["get: \"/v1/by/{a}\"", "get: \"/v1/{d}/profile\""],
        ["get: \"/v1/x\"", "custom: {kind: \"*\" path: \"/v1/x\"}"],
    ] {
        assert!(compile(&rules).is_ok(), "{rules:?}");
    }
}

#[test]
fn the_leftmost_literal_wins_whatever_the_order_of_the_protos() {
    let rules = ["get: \"/v1/by/{a}\"", "get: \"/v1/{d}/profile\"", "get: \"/v1/{a=**}\""];
    for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
        let routes = compile(&order.map(|index| rules[index])).unwrap();
        assert_eq!(found(&routes, "GET", "/v1/by/profile").unwrap().0, "/v1/by/{a}");
        assert_eq!(found(&routes, "GET", "/v1/x/profile").unwrap().0, "/v1/{d}/profile");
        // The tree leaves a branch without an end.
        assert_eq!(found(&routes, "GET", "/v1/by/x/y").unwrap().0, "/v1/{a=**}");
    }
}

#[test]
fn a_path_that_leads_nowhere_has_a_nearest_one() {
    let own = ["/docs", "/openapi.json", "/health", "/readyz"].map(str::to_owned);
    let routes = Routes::compile(quartet_proto::descriptors::pool()).unwrap();
    for (path, near) in [
        ("/api/v1/login", Some("/api/v1/auth/login")),
        ("/api/v1/user", Some("/api/v1/users")),
        ("/api/v1/user/me/", Some("/api/v1/users/me")),
        ("/users/me", Some("/api/v1/users/me")),
        ("/api/v1/items/", Some("/api/v1/todos")),
        ("/api/v1/login/access-token", Some("/api/v1/auth/login")),
        ("/signup", Some("/api/v1/auth/register")),
        ("/api/v1/jobs", Some("/api/v1/tasks")),
        ("/healthz", Some("/health")),
        ("/api/health", Some("/health")),
        ("/api/v1/utils/health-check/", Some("/health")),
        ("/api/v1/openapi.json", Some("/openapi.json")),
        ("/api/v1/swagger", Some("/docs")),
        ("/api/v1/tier", Some("/api/v1/tiers")),
        ("/api/v1/user/ada/tier", Some("/api/v1/users/{user_id}/tier")),
        ("/todo", Some("/api/v1/todos")),
        ("/api/v1/nothing", None),
        ("/", None),
    ] {
        assert_eq!(routes.nearest(path, &own), near, "{path}");
    }
}
