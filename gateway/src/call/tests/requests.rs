//! What becomes of a request's path, query and body: the mapping of `google/api/http.proto`.

use super::*;

async fn mapped(verb: &str, path: &str, content_type: Option<&str>, body: &str) -> Result<String, Problem> {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    let mut request = request(verb, path);
    if let Some(content_type) = content_type {
        request = request.header(header::CONTENT_TYPE, content_type);
    }
    kitchen.send(request.body(Body::from(body.to_owned())).unwrap()).await?;
    Ok(kitchen.backend.message())
}

const JSON: Option<&str> = Some("application/json");
const FORM: Option<&str> = Some("application/x-www-form-urlencoded");

#[tokio::test]
async fn each_part_of_a_request_fills_its_own_fields() {
    for (verb, path, content_type, body, expected) in [
        ("GET", "/v1/dishes/7", None, "", "dish_id:\"7\""),
        (
            "GET",
            "/v1/dishes/a%2Fb?revision=3",
            None,
            "",
            "dish_id:\"a/b\",revision:3",
        ),
        (
            "GET",
            "/v1/menus/m/dishes/7?menu.page_size=5&menu.next.id=n",
            None,
            "",
            "dish_id:\"7\",menu{id:\"m\",page_size:5,next{id:\"n\"}}",
        ),
        (
            "GET",
            "/v1/dishes/7?menu.pageSize=5",
            None,
            "",
            "dish_id:\"7\",menu{page_size:5}",
        ),
        (
            "GET",
            "/v1/dishes/7?tag=a&tag=b+c&tag=%2B",
            None,
            "",
            "dish_id:\"7\",tag:[\"a\",\"b c\",\"+\"]",
        ),
        (
            "GET",
            "/v1/dishes/7?taste=TASTE_SOUR",
            None,
            "",
            "dish_id:\"7\",taste:TASTE_SOUR",
        ),
        (
            "GET",
            "/v1/dishes/7?taste=1",
            None,
            "",
            "dish_id:\"7\",taste:TASTE_SWEET",
        ),
        (
            "GET",
            "/v1/dishes/7?since=1970-01-01T00:00:01.5Z",
            None,
            "",
            "dish_id:\"7\",since{seconds:1,nanos:500000000}",
        ),
        (
            "GET",
            "/v1/dishes/7?since=1970-01-01T01:00:01%2B01:00",
            None,
            "",
            "dish_id:\"7\",since{seconds:1}",
        ),
        (
            "GET",
            "/v1/dishes/7?within=1.5s",
            None,
            "",
            "dish_id:\"7\",within{seconds:1,nanos:500000000}",
        ),
        (
            "GET",
            "/v1/dishes/7?readMask=a,fooBar.baz",
            None,
            "",
            "dish_id:\"7\",read_mask{paths:[\"a\",\"foo_bar.baz\"]}",
        ),
        ("GET", "/v1/dishes/7?note=", None, "", "dish_id:\"7\",note{}"),
        (
            "GET",
            "/v1/dishes/7?deep=true&token=-_8&ratio=-Infinity&by_number=0",
            None,
            "",
            "dish_id:\"7\",deep:true,token:\"\\373\\377\",ratio:-inf,by_number:0",
        ),
        ("GET", "/v1/dishes/7?&&", None, "", "dish_id:\"7\""),
        // A body means nothing to GET and DELETE.
        ("GET", "/v1/dishes/7", Some("text/plain"), "nonsense", "dish_id:\"7\""),
        ("DELETE", "/v1/dishes/7", None, "{}", "dish_id:\"7\""),
        (
            "POST",
            "/v1/dishes/7:cook",
            JSON,
            "{\"style\":\"x\",\"minutes\":5}",
            "dish_id:\"7\",style:\"x\",minutes:5",
        ),
        // The path wins.
        (
            "POST",
            "/v1/dishes/7:cook",
            JSON,
            "{\"dish_id\":\"8\"}",
            "dish_id:\"7\"",
        ),
        ("POST", "/v1/dishes/7:cook", JSON, "", "dish_id:\"7\""),
        ("POST", "/v1/dishes/7:cook", None, "", "dish_id:\"7\""),
        ("POST", "/v1/dishes/7:cook", Some("text/plain"), "", "dish_id:\"7\""),
        (
            "POST",
            "/v1/dishes/7:cook",
            None,
            "{\"style\":\"x\"}",
            "dish_id:\"7\",style:\"x\"",
        ),
        (
            "POST",
            "/v1/dishes/7:cook",
            FORM,
            "style=a+b&minutes=3&spices=x&spices=y",
            "dish_id:\"7\",style:\"a b\",minutes:3,spices:[\"x\",\"y\"]",
        ),
        (
            "POST",
            "/v1/dishes/7:archive?revision=2",
            None,
            "",
            "dish_id:\"7\",revision:2",
        ),
        (
            "PUT",
            "/v1/dishes/7",
            JSON,
            "{\"nested\":{\"name\":\"x\"}}",
            "dish_id:\"7\",dish{nested{name:\"x\"}}",
        ),
        ("PUT", "/v1/dishes/7", JSON, "", "dish_id:\"7\",dish{}"),
        ("PUT", "/v1/dishes/7", JSON, "{}", "dish_id:\"7\",dish{}"),
        (
            "PUT",
            "/v1/dishes/7?update_mask=taste",
            FORM,
            "taste=2&nested.name=x",
            "dish_id:\"7\",dish{taste:TASTE_SOUR,nested{name:\"x\"}},update_mask{paths:[\"taste\"]}",
        ),
        (
            "PUT",
            "/v1/names/7",
            JSON,
            "[\"a\",\"b\"]",
            "dish_id:\"7\",names:[\"a\",\"b\"]",
        ),
        (
            "GET",
            "/v1/shelves/1/jars/2%2F3",
            None,
            "",
            "name:\"shelves/1/jars/2%2F3\"",
        ),
        ("REPORT", "/v1/reports/x", None, "", "name:\"x\""),
    ] {
        let message = mapped(verb, path, content_type, body)
            .await
            .unwrap_or_else(|problem| panic!("{verb} {path}: {problem:?}"));
        assert_eq!(message, expected, "{verb} {path} {body}");
    }
}

#[tokio::test]
async fn fields_of_one_part_are_unknown_to_the_others() {
    for (verb, path, content_type, body, field, rule) in [
        ("GET", "/v1/dishes/7?foo=1", None, "", "foo", "UNKNOWN"),
        ("GET", "/v1/dishes/7?menu.foo=1", None, "", "menu.foo", "UNKNOWN"),
        ("GET", "/v1/dishes/7?dish_id=8", None, "", "dish_id", "UNKNOWN"),
        ("GET", "/v1/menus/m/dishes/7?menu.id=n", None, "", "menu.id", "UNKNOWN"),
        ("GET", "/v1/dishes/7?menu=x", None, "", "menu", "TYPE"),
        ("GET", "/v1/dishes/7?menus.id=x", None, "", "menus.id", "UNKNOWN"),
        ("GET", "/v1/dishes/7?labels.a=x", None, "", "labels.a", "UNKNOWN"),
        (
            "GET",
            "/v1/dishes/7?since.seconds=1",
            None,
            "",
            "since.seconds",
            "UNKNOWN",
        ),
        ("GET", "/v1/dishes/7?revision=x", None, "", "revision", "TYPE"),
        ("GET", "/v1/dishes/7?revision=", None, "", "revision", "TYPE"),
        (
            "GET",
            "/v1/dishes/7?revision=1&revision=1",
            None,
            "",
            "revision",
            "DUPLICATE",
        ),
        (
            "GET",
            "/v1/dishes/7?menu.page_size=0&menu.pageSize=0",
            None,
            "",
            "menu.page_size",
            "DUPLICATE",
        ),
        (
            "GET",
            "/v1/dishes/7?by_name=a&by_number=1",
            None,
            "",
            "by_number",
            "ONE_OF",
        ),
        ("GET", "/v1/named/a?by_number=1", None, "", "by_number", "ONE_OF"),
        ("POST", "/v1/named/a", JSON, "{\"by_number\":1}", "by_number", "ONE_OF"),
        ("GET", "/v1/dishes/7?deep=1", None, "", "deep", "TYPE"),
        ("GET", "/v1/dishes/7?taste=SOURISH", None, "", "taste", "ENUM"),
        ("GET", "/v1/dishes/7?since=today", None, "", "since", "FORMAT"),
        ("POST", "/v1/dishes/7:cook?style=x", JSON, "{}", "style", "UNKNOWN"),
        (
            "POST",
            "/v1/dishes/7:cook",
            JSON,
            "{\"stile\":\"x\"}",
            "stile",
            "UNKNOWN",
        ),
        ("POST", "/v1/dishes/7:cook", FORM, "stile=x", "stile", "UNKNOWN"),
        ("POST", "/v1/dishes/7:cook", FORM, "dish_id=x", "dish_id", "UNKNOWN"),
        ("PUT", "/v1/dishes/7?dish.taste=1", JSON, "{}", "dish.taste", "UNKNOWN"),
        (
            "PUT",
            "/v1/dishes/7",
            JSON,
            "{\"nested\":{\"x\":1}}",
            "nested.x",
            "UNKNOWN",
        ),
        ("PUT", "/v1/names/7", JSON, "[1]", "[0]", "TYPE"),
    ] {
        let problem = mapped(verb, path, content_type, body).await.expect_err(path);
        assert_eq!(
            (problem.status.as_u16(), problem.reason.as_str()),
            (422, "VALIDATION_FAILED"),
            "{verb} {path} {body}"
        );
        let found: Vec<_> = problem
            .violations
            .iter()
            .map(|found| (found.field.as_str(), found.rule.as_str()))
            .collect();
        assert_eq!(found, [(field, rule)], "{verb} {path} {body}");
    }
}

#[tokio::test]
async fn requests_that_are_no_requests_are_400_413_414_or_415() {
    let many = format!("/v1/dishes/7?{}", "tag=a&".repeat(501));
    let long = format!("/v1/dishes/7?tag={}", "a".repeat(33 * 1024));
    for (verb, path, content_type, body, status, reason) in [
        ("GET", "/v1/dishes/7?tag=%zz", None, "", 400, "BAD_REQUEST"),
        ("GET", "/v1/dishes/7?tag=%ff", None, "", 400, "BAD_REQUEST"),
        ("GET", "/v1/dishes/%ff", None, "", 400, "BAD_REQUEST"),
        ("GET", many.as_str(), None, "", 400, "BAD_REQUEST"),
        ("GET", long.as_str(), None, "", 414, "BAD_REQUEST"),
        ("GET", "/v1/nowhere", None, "", 404, "ROUTE_NOT_FOUND"),
        ("PUT", "/v1/dishes/7:cook", None, "", 405, "METHOD_NOT_ALLOWED"),
        ("POST", "/v1/dishes/7:archive", JSON, "{}", 400, "BAD_REQUEST"),
        ("POST", "/v1/dishes/7:cook", JSON, "{", 400, "MALFORMED_JSON"),
        (
            "POST",
            "/v1/dishes/7:cook",
            Some("text/plain"),
            "x",
            415,
            "UNSUPPORTED_MEDIA_TYPE",
        ),
        ("PUT", "/v1/names/7", FORM, "names=a", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ] {
        let outcome = mapped(verb, path, content_type, body).await;
        let (found, why) = outcome.map_or_else(
            |problem| (problem.status.as_u16(), problem.reason),
            |_| (200, String::new()),
        );
        assert_eq!((found, why.as_str()), (status, reason), "{verb} {path} {body}");
    }
}

#[tokio::test]
async fn a_body_over_the_limit_of_the_edge_is_413() {
    let kitchen = Kitchen::new(Answer::Messages(vec![]));
    let body = Body::new(http_body_util::Limited::new(Body::from("{\"style\":\"long\"}"), 4));
    let request = request("POST", "/v1/dishes/7:cook")
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .unwrap();
    let problem = kitchen.send(request).await.unwrap_err();
    assert_eq!(
        (problem.status.as_u16(), problem.reason.as_str()),
        (413, "BODY_TOO_LARGE")
    );
}

#[tokio::test]
async fn a_patch_infers_its_mask_from_the_keys_of_its_body() {
    for (path, content_type, body, expected) in [
        (
            "/v1/dishes/7",
            JSON,
            "{\"taste\":1,\"maybeString\":null}",
            "dish{taste:TASTE_SWEET},update_mask{paths:[\"taste\",\"maybe_string\"]}",
        ),
        (
            "/v1/dishes/7",
            JSON,
            "{\"nested\":{\"amount_left\":0}}",
            "dish{nested{}},update_mask{paths:[\"nested.amount_left\"]}",
        ),
        (
            "/v1/dishes/7",
            FORM,
            "taste=1&words=a&words=b",
            "dish{taste:TASTE_SWEET,words:[\"a\",\"b\"]},update_mask{paths:[\"taste\",\"words\"]}",
        ),
        (
            "/v1/dishes/7?update_mask=taste",
            JSON,
            "{\"taste\":1,\"maybe_string\":\"x\"}",
            "dish{taste:TASTE_SWEET,maybe_string:\"x\"},update_mask{paths:[\"taste\"]}",
        ),
        (
            "/v1/dishes/7?updateMask=taste",
            JSON,
            "",
            "dish{},update_mask{paths:[\"taste\"]}",
        ),
        (
            "/v1/dishes/7?update_mask=*",
            JSON,
            "{\"taste\":1}",
            "dish{taste:TASTE_SWEET},update_mask{paths:[\"*\"]}",
        ),
        (
            "/v1/dishes/7?update_mask=",
            JSON,
            "{\"taste\":1}",
            "dish{taste:TASTE_SWEET},update_mask{paths:[\"taste\"]}",
        ),
    ] {
        let message = mapped("PATCH", path, content_type, body)
            .await
            .unwrap_or_else(|problem| panic!("{body}: {problem:?}"));
        assert_eq!(message, format!("dish_id:\"7\",{expected}"), "{path} {body}");
    }
}

#[tokio::test]
async fn a_patch_of_nothing_is_refused_instead_of_writing_everything() {
    for (content_type, body) in [(JSON, "{}"), (JSON, ""), (FORM, "")] {
        let problem = mapped("PATCH", "/v1/dishes/7", content_type, body).await.unwrap_err();
        assert_eq!(problem.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(
            (
                problem.violations[0].field.as_str(),
                problem.violations[0].rule.as_str()
            ),
            ("dish", "REQUIRED")
        );
    }
}

#[tokio::test]
async fn headers_that_services_trust_are_passed_on_and_others_are_not() {
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(Bytes::new())]));
    let mut request = request("GET", "/v1/dishes/7")
        .header("authorization", "Bearer t")
        .header("accept-language", "ru")
        .header("x-request-id", "r1")
        .header("traceparent", "00-1")
        .header("tracestate", "a=b")
        .header("user-agent", "curl")
        .header("x-forwarded-for", "6.6.6.6")
        .header("x-forwarded-user-agent", "forged")
        .header("x-internal", "no")
        .body(Body::empty())
        .unwrap();
    request
        .extensions_mut()
        .insert(ClientAddress("10.0.0.9".parse().unwrap()));
    kitchen.send(request).await.unwrap();
    let seen = kitchen.backend.seen.lock().unwrap();
    assert_eq!(seen[0].method, "GetDish");
    for (name, value) in [
        ("authorization", Some("Bearer t")),
        ("accept-language", Some("ru")),
        ("x-request-id", Some("r1")),
        ("traceparent", Some("00-1")),
        ("tracestate", Some("a=b")),
        ("x-forwarded-user-agent", Some("curl")),
        ("x-forwarded-for", Some("10.0.0.9")),
        ("x-internal", None),
        ("user-agent", None),
    ] {
        assert_eq!(
            seen[0].metadata.get(name).map(|value| value.to_str().unwrap()),
            value,
            "{name}"
        );
    }
}

#[tokio::test]
async fn the_gateway_s_token_is_on_every_call_and_no_client_can_send_one() {
    let forged = || {
        let request = request("GET", "/v1/dishes/7").header("x-gateway-token", "forged");
        request.body(Body::empty()).unwrap()
    };
    let proofs = |kitchen: &Kitchen| -> Vec<Option<String>> {
        let seen = kitchen.backend.seen.lock().unwrap();
        let proof = |call: &backend::Seen| Some(call.metadata.get("x-gateway-token")?.to_str().unwrap().to_owned());
        seen.iter().map(proof).collect()
    };
    let kitchen = Kitchen::new(Answer::Messages(vec![Ok(dish("{}"))]));
    kitchen.send(forged()).await.unwrap();
    assert_eq!(proofs(&kitchen), [None]);

    let secret = quartet_config::Secret::new("0123456789abcdef0123456789abcdef");
    let tokens = quartet_rpc::token::ServiceTokens::new("gateway", "quartet", &secret, quartet_clock::Clock::system());
    let current = tokens.current().unwrap();
    let kitchen = Kitchen::with(Answer::Messages(vec![Ok(dish("{}"))]), |config| {
        config.tokens = Some(tokens)
    });
    kitchen.send(forged()).await.unwrap();
    assert_eq!(proofs(&kitchen), [Some(current)]);
}

#[tokio::test]
async fn headers_that_an_operator_lists_pass_both_ways() {
    let lists = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let listed = (lists(&["x-tenant"]), lists(&["last-modified", "etag"]));
    let passed = Passed::of(&listed.0, &listed.1).unwrap();
    let kitchen = Kitchen::with(Answer::Messages(vec![Ok(dish("{}"))]), |config| config.passed = passed);
    let request = request("GET", "/v1/dishes/7")
        .header("x-tenant", "a")
        .header("x-tenant", "b")
        .header("x-other", "c");
    let answered = kitchen.send(request.body(Body::empty()).unwrap()).await.unwrap();
    let metadata = kitchen.backend.seen.lock().unwrap()[0].metadata.clone();
    let tenants: Vec<_> = metadata.get_all("x-tenant").iter().collect();
    assert_eq!(tenants, ["a", "b"]);
    assert!(!metadata.contains_key("x-other"));
    let headers = answered.headers();
    assert_eq!(
        header_text(headers, "last-modified"),
        Some("Thu, 01 Jan 1970 00:00:00 GMT")
    );
    assert_eq!(header_text(headers, "etag"), Some("\"of-the-backend\""));
    assert_eq!(header_text(headers, "x-kitchen"), None);

    let passed = Passed::of(&[], &["last-modified".to_owned()]).unwrap();
    let kitchen = Kitchen::with(Answer::Messages(vec![Ok(dish("{}"))]), |config| config.passed = passed);
    let streamed = kitchen.get("/v1/watch/7").await.unwrap();
    assert!(header_text(streamed.headers(), "last-modified").is_some());
}
