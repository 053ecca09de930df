//! A corpus after the ProtoJSON table (<https://protobuf.dev/programming-guides/json/>) and the
//! ideas of protobuf's conformance suite, and round trips of random messages.

use proptest::prelude::*;
use prost::Message;
use prost_reflect::{DynamicMessage, ReflectMessage};

use super::*;
use crate::problem::Problem;
use crate::testing;

fn read(json: &str) -> Result<DynamicMessage, Problem> {
    crate::transcode::encode::tests::compare_body(&testing::descriptor("Dish"), json.as_bytes());
    let mut message = testing::empty("Dish");
    Reader::new(json.as_bytes(), &[])?.message(&mut message)?;
    Ok(message)
}

fn write(message: &DynamicMessage) -> String {
    let mut out = Vec::new();
    Writer::new(&mut out, &[]).message(message).unwrap();
    String::from_utf8(out).unwrap()
}

/// The member `name` of a dish read from `json` and written again; `None` when it is not there.
fn member(json: &str, name: &str) -> Option<String> {
    let written = write(&read(json).unwrap_or_else(|problem| panic!("{json}: {problem:?}")));
    let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&written).unwrap();
    object.get(name).map(ToString::to_string)
}

#[test]
fn every_form_of_a_value_is_read_and_written_in_its_one_form() {
    for (name, given, written) in [
        // Integers: numbers or strings in, whole however they are spelt; 64 bits out as strings.
        ("int32_field", "1", "1"),
        ("int32_field", "\"1\"", "1"),
        ("int32_field", "3.0", "3"),
        ("int32_field", "1e2", "100"),
        ("int32_field", "\"1e2\"", "100"),
        ("int32_field", "-2147483648", "-2147483648"),
        ("int32_field", "-0", "0"),
        ("sint32_field", "-5", "-5"),
        ("sfixed32_field", "-5", "-5"),
        ("fixed32_field", "4294967295", "4294967295"),
        ("uint32_field", "4.294967295e9", "4294967295"),
        ("int64_field", "1", "\"1\""),
        ("int64_field", "\"-9223372036854775808\"", "\"-9223372036854775808\""),
        ("int64_field", "9223372036854775807", "\"9223372036854775807\""),
        ("uint64_field", "18446744073709551615", "\"18446744073709551615\""),
        ("fixed64_field", "1", "\"1\""),
        ("sint64_field", "-1", "\"-1\""),
        ("sfixed64_field", "-1", "\"-1\""),
        // Floats.
        ("double_field", "1.5", "1.5"),
        ("double_field", "\"1.5\"", "1.5"),
        ("double_field", "\"NaN\"", "\"NaN\""),
        ("double_field", "\"Infinity\"", "\"Infinity\""),
        ("double_field", "\"-Infinity\"", "\"-Infinity\""),
        ("double_field", "1e308", "1e+308"),
        ("float_field", "0.1", "0.1"),
        ("float_field", "\"NaN\"", "\"NaN\""),
        ("float_field", "-1.5e1", "-15.0"),
        // The rest of the scalars.
        ("bool_field", "true", "true"),
        ("string_field", "\"a\\u0000\\n\\ud83d\\ude00\"", "\"a\\u0000\\n😀\""),
        ("string_field", "\"<&>\"", "\"<&>\""),
        ("bytes_field", "\"-_8\"", "\"+/8=\""),
        ("bytes_field", "\"+/8=\"", "\"+/8=\""),
        ("taste", "\"TASTE_SOUR\"", "\"TASTE_SOUR\""),
        ("taste", "2", "\"TASTE_SOUR\""),
        ("taste", "2.0", "\"TASTE_SOUR\""),
        ("taste", "99", "99"),
        // Composites.
        (
            "nested",
            "{\"name\":\"x\",\"amountLeft\":2}",
            "{\"name\":\"x\",\"amount_left\":2}",
        ),
        ("nested", "{}", "{\"name\":\"\",\"amount_left\":0}"),
        ("numbers", "[1,\"2\",3.0]", "[1,2,3]"),
        ("words", "[\"\",\"b\"]", "[\"\",\"b\"]"),
        (
            "tastes",
            "[\"TASTE_SWEET\",0]",
            "[\"TASTE_SWEET\",\"TASTE_UNSPECIFIED\"]",
        ),
        ("labels", "{\"b\":\"2\",\"a\":\"1\"}", "{\"a\":\"1\",\"b\":\"2\"}"),
        ("by_number", "{\"-1\":{}}", "{\"-1\":{\"name\":\"\",\"amount_left\":0}}"),
        ("by_bool", "{\"true\":\"TASTE_SOUR\"}", "{\"true\":\"TASTE_SOUR\"}"),
        (
            "by_uint64",
            "{\"18446744073709551615\":\"AQ\"}",
            "{\"18446744073709551615\":\"AQ==\"}",
        ),
        // Forms of their own.
        ("at", "\"2026-01-31T01:30:00.5+01:30\"", "\"2026-01-31T00:00:00.500Z\""),
        ("takes", "\"-1.50s\"", "\"-1.500s\""),
        ("takes", "\"3s\"", "\"3s\""),
        ("mask", "\"a,fooBar.bazQux\"", "\"a,fooBar.bazQux\""),
        ("mask", "\"foo_bar\"", "\"fooBar\""),
        ("mask", "\"\"", "\"\""),
        (
            "facts",
            "{\"a\":[1,\"x\",null,{\"b\":true}]}",
            "{\"a\":[1.0,\"x\",null,{\"b\":true}]}",
        ),
        ("anything", "null", "null"),
        ("anything", "[1]", "[1.0]"),
        ("anything", "\"x\"", "\"x\""),
        ("anything", "{}", "{}"),
        ("list", "[]", "[]"),
        ("list", "[null]", "[null]"),
        ("anythings", "[null,1]", "[null,1.0]"),
        ("empty", "{}", "{}"),
        ("bool_value", "false", "false"),
        ("bytes_value", "\"AQ\"", "\"AQ==\""),
        ("double_value", "\"NaN\"", "\"NaN\""),
        ("float_value", "1.5", "1.5"),
        ("int32_value", "0", "0"),
        ("int64_value", "\"7\"", "\"7\""),
        ("string_value", "\"\"", "\"\""),
        ("uint32_value", "7", "7"),
        ("uint64_value", "7", "\"7\""),
        ("any", "{}", "{}"),
        (
            "any",
            "{\"name\":\"x\",\"@type\":\"t/kitchen.v1.Nested\"}",
            "{\"@type\":\"t/kitchen.v1.Nested\",\"name\":\"x\",\"amount_left\":0}",
        ),
        (
            "any",
            "{\"@type\":\"t/google.protobuf.Duration\",\"value\":\"1s\"}",
            "{\"@type\":\"t/google.protobuf.Duration\",\"value\":\"1s\"}",
        ),
        (
            "any",
            "{\"value\":{\"@type\":\"t/kitchen.v1.Menu\"},\"@type\":\"t/google.protobuf.Any\"}",
            r#"{"@type":"t/google.protobuf.Any","value":{"@type":"t/kitchen.v1.Menu","id":"","page_size":0}}"#,
        ),
        (
            "any",
            "{\"@type\":\"t/google.protobuf.Int64Value\",\"value\":\"5\"}",
            "{\"@type\":\"t/google.protobuf.Int64Value\",\"value\":\"5\"}",
        ),
        ("choice_null", "null", "null"),
        ("choice_null", "\"NULL_VALUE\"", "null"),
        ("choice_number", "0", "0"),
        ("choice_text", "\"\"", "\"\""),
        ("maybe_int32", "0", "0"),
        ("maybe_string", "\"\"", "\"\""),
    ] {
        let json = format!("{{\"{name}\":{given}}}");
        assert_eq!(member(&json, name).as_deref(), Some(written), "{json}");
    }
}

#[test]
fn null_leaves_a_field_unset_whatever_its_type() {
    for field in testing::descriptor("Dish").fields() {
        let json = format!("{{\"{}\":null}}", field.name());
        let message = read(&json).unwrap();
        let has_null = ["anything", "choice_null"].contains(&field.name());
        assert_eq!(message.has_field(&field), has_null, "{json}");
    }
}

#[test]
fn both_spellings_of_a_name_are_read_and_the_protos_own_is_written() {
    assert_eq!(member("{\"int32Field\":1}", "int32_field").as_deref(), Some("1"));
    assert_eq!(member("{\"int32_field\":1}", "int32_field").as_deref(), Some("1"));
    assert_eq!(member("{\"int32_field\":1}", "int32Field"), None);
}

#[test]
fn fields_without_presence_are_always_written_and_unset_ones_with_presence_never() {
    let mut expected = vec![];
    for (name, value) in [
        ("int32_field", "0"),
        ("int64_field", "\"0\""),
        ("uint32_field", "0"),
        ("uint64_field", "\"0\""),
        ("sint32_field", "0"),
        ("sint64_field", "\"0\""),
        ("fixed32_field", "0"),
        ("fixed64_field", "\"0\""),
        ("sfixed32_field", "0"),
        ("sfixed64_field", "\"0\""),
        ("float_field", "0.0"),
        ("double_field", "0.0"),
        ("bool_field", "false"),
        ("string_field", "\"\""),
        ("bytes_field", "\"\""),
        ("taste", "\"TASTE_UNSPECIFIED\""),
        ("numbers", "[]"),
        ("words", "[]"),
        ("parts", "[]"),
        ("tastes", "[]"),
        ("labels", "{}"),
        ("by_number", "{}"),
        ("by_bool", "{}"),
        ("by_uint64", "{}"),
        ("null", "null"),
        ("anythings", "[]"),
        ("moments", "[]"),
    ] {
        expected.push(format!("\"{name}\":{value}"));
    }
    assert_eq!(write(&testing::empty("Dish")), format!("{{{}}}", expected.join(",")));
}

/// Field and rule of each violation.
fn violations(json: &str) -> Vec<(String, String)> {
    let problem = read(json).expect_err(json);
    assert_eq!(
        (problem.status.as_u16(), problem.reason.as_str()),
        (422, "VALIDATION_FAILED"),
        "{json}"
    );
    problem
        .violations
        .into_iter()
        .map(|violation| (violation.field, violation.rule))
        .collect()
}

#[test]
fn what_breaks_a_rule_is_named_by_its_path() {
    for (json, field, rule) in [
        ("{\"foo\":1}", "foo", "UNKNOWN"),
        ("{\"nested\":{\"foo\":1}}", "nested.foo", "UNKNOWN"),
        ("{\"parts\":[{},{\"x\":{}}]}", "parts[1].x", "UNKNOWN"),
        ("{\"INT32_FIELD\":1}", "INT32_FIELD", "UNKNOWN"),
        ("{\"by_number\":{\"1\":{\"x\":1}}}", "by_number[\"1\"].x", "UNKNOWN"),
        ("{\"int32_field\":1,\"int32Field\":1}", "int32_field", "DUPLICATE"),
        ("{\"bool_field\":null,\"bool_field\":true}", "bool_field", "DUPLICATE"),
        ("{\"labels\":{\"a\":\"\",\"a\":\"\"}}", "labels[\"a\"]", "DUPLICATE"),
        ("{\"facts\":{\"a\":1,\"a\":1}}", "facts.a", "DUPLICATE"),
        (
            "{\"by_number\":{\"1\":{},\"1.0\":{}}}",
            "by_number[\"1.0\"]",
            "DUPLICATE",
        ),
        ("{\"choice_text\":\"a\",\"choice_number\":1}", "choice_number", "ONE_OF"),
        ("{\"choice_null\":null,\"choice_text\":\"\"}", "choice_text", "ONE_OF"),
        ("{\"int32_field\":3.5}", "int32_field", "TYPE"),
        ("{\"int32_field\":true}", "int32_field", "TYPE"),
        ("{\"int32_field\":\"\"}", "int32_field", "TYPE"),
        ("{\"int32_field\":\" 1\"}", "int32_field", "TYPE"),
        ("{\"int32_field\":[1]}", "int32_field", "TYPE"),
        ("{\"int32_field\":2147483648}", "int32_field", "RANGE"),
        ("{\"uint64_field\":-1}", "uint64_field", "RANGE"),
        ("{\"float_field\":3.5e38}", "float_field", "RANGE"),
        ("{\"double_field\":1e999}", "double_field", "RANGE"),
        ("{\"double_field\":\"nan\"}", "double_field", "TYPE"),
        ("{\"bool_field\":\"true\"}", "bool_field", "TYPE"),
        ("{\"bool_field\":1}", "bool_field", "TYPE"),
        ("{\"string_field\":1}", "string_field", "TYPE"),
        ("{\"bytes_field\":\"*\"}", "bytes_field", "FORMAT"),
        ("{\"bytes_field\":[1]}", "bytes_field", "TYPE"),
        ("{\"taste\":\"BITTERSWEET\"}", "taste", "ENUM"),
        ("{\"taste\":\"taste_\"}", "taste", "ENUM"),
        ("{\"taste\":\"1\"}", "taste", "ENUM"),
        ("{\"taste\":1.5}", "taste", "TYPE"),
        ("{\"nested\":[]}", "nested", "TYPE"),
        ("{\"nested\":\"x\"}", "nested", "TYPE"),
        ("{\"numbers\":1}", "numbers", "TYPE"),
        ("{\"numbers\":[1,null]}", "numbers[1]", "TYPE"),
        ("{\"parts\":[null]}", "parts[0]", "TYPE"),
        ("{\"labels\":{\"a\":null}}", "labels[\"a\"]", "TYPE"),
        ("{\"labels\":[]}", "labels", "TYPE"),
        ("{\"by_number\":{\"x\":{}}}", "by_number[\"x\"]", "TYPE"),
        ("{\"by_bool\":{\"1\":0}}", "by_bool[\"1\"]", "TYPE"),
        ("{\"at\":\"2026-01-31\"}", "at", "FORMAT"),
        ("{\"at\":1}", "at", "TYPE"),
        ("{\"moments\":[\"x\"]}", "moments[0]", "FORMAT"),
        ("{\"takes\":\"1\"}", "takes", "FORMAT"),
        ("{\"mask\":\"a,,b\"}", "mask", "FORMAT"),
        ("{\"facts\":[]}", "facts", "TYPE"),
        ("{\"list\":{}}", "list", "TYPE"),
        ("{\"empty\":{\"a\":1}}", "empty.a", "UNKNOWN"),
        ("{\"int32_value\":\"x\"}", "int32_value", "TYPE"),
        ("{\"int32_value\":{\"value\":1}}", "int32_value", "TYPE"),
        ("{\"anything\":1e999}", "anything", "RANGE"),
        ("{\"any\":{\"a\":1}}", "any", "REQUIRED"),
        ("{\"any\":{\"@type\":\"t/nope\"}}", "any", "ENUM"),
        ("{\"any\":{\"@type\":1}}", "any", "TYPE"),
        (
            "{\"any\":{\"@type\":\"t/kitchen.v1.Nested\",\"x\":1}}",
            "any.x",
            "UNKNOWN",
        ),
        (
            "{\"any\":{\"@type\":\"t/google.protobuf.Duration\"}}",
            "any",
            "REQUIRED",
        ),
        (
            "{\"any\":{\"@type\":\"t/google.protobuf.Duration\",\"value\":\"1s\",\"x\":1}}",
            "any.x",
            "UNKNOWN",
        ),
        ("{\"any\":{\"@type\":\"kitchen.v1.Nested\"}}", "any", "ENUM"),
        ("[]", "", "TYPE"),
        ("1", "", "TYPE"),
        ("null", "", "TYPE"),
    ] {
        assert_eq!(violations(json), [(field.to_owned(), rule.to_owned())], "{json}");
    }
}

#[test]
fn every_broken_rule_is_listed_at_once() {
    let found =
        violations(r#"{"foo":1,"int32_field":"x","nested":{"amount_left":1.5,"name":"kept"},"numbers":["a",2,"b"]}"#);
    let fields: Vec<_> = found.iter().map(|(field, _)| field.as_str()).collect();
    assert_eq!(
        fields,
        ["foo", "int32_field", "nested.amount_left", "numbers[0]", "numbers[2]"]
    );
}

#[test]
fn the_list_of_broken_rules_is_bounded() {
    let json = format!("{{\"numbers\":[{}true]}}", "true,".repeat(5000));
    assert_eq!(violations(&json).len(), 100);
    let long = "ä".repeat(5000);
    let problem = read(&format!("{{\"{long}\":1,\"any\":{{\"@type\":\"t/{long}\"}}}}")).unwrap_err();
    assert!(
        problem
            .violations
            .iter()
            .all(|found| found.field.len() < 400 && found.description.len() < 400)
    );
}

#[test]
fn a_null_member_of_a_oneof_leaves_room_for_another() {
    assert_eq!(
        member("{\"choice_text\":null,\"choice_number\":1}", "choice_number").as_deref(),
        Some("1")
    );
    assert_eq!(
        member("{\"choice_number\":1,\"choice_text\":null}", "choice_number").as_deref(),
        Some("1")
    );
}

#[test]
fn malformed_text_is_400_with_line_and_column() {
    let problem = read("{\n  \"string_field\": \"ä\" x\n}").unwrap_err();
    assert_eq!(
        (problem.status.as_u16(), problem.reason.as_str()),
        (400, "MALFORMED_JSON")
    );
    assert_eq!(problem.message, "line 2, column 23: expected `,` or `}`");
    for json in [
        "",
        "{",
        "{}{}",
        "{\"a\":}",
        "{\"int32_field\":01}",
        "{\"int32_field\":+1}",
        "{\"double_field\":NaN}",
        "{\"string_field\":\"\\ud800\"}",
        "{'a':1}",
    ] {
        assert_eq!(read(json).unwrap_err().reason, "MALFORMED_JSON", "{json}");
    }
    assert_eq!(
        Reader::new(b"{\"\xff\":1}", &[]).err().unwrap().reason,
        "MALFORMED_JSON"
    );
    // Malformed text beats broken rules: what follows it cannot be trusted.
    assert_eq!(read("{\"foo\":1,").unwrap_err().reason, "MALFORMED_JSON");
}

#[test]
fn nesting_is_bounded() {
    let nested = |levels: usize| format!("{}{{}}{}", "{\"inner\":".repeat(levels), "}".repeat(levels));
    assert!(read(&format!("{{\"nested\":{}}}", nested(99))).is_ok());
    assert_eq!(
        read(&format!("{{\"nested\":{}}}", nested(100))).unwrap_err().violations[0].rule,
        "DEPTH"
    );
    assert_eq!(
        read(&format!(
            "{{\"anything\":{}{}}}",
            "[".repeat(10_000),
            "]".repeat(10_000)
        ))
        .unwrap_err()
        .reason,
        "MALFORMED_JSON"
    );
}

/// What `anything` of a dish holds, as the generated code of a service reads it: it counts the entry
/// of a map as a level.
#[derive(Clone, PartialEq, prost::Message)]
struct Holder {
    #[prost(message, optional, tag = "54")]
    anything: Option<Anything>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Anything {
    #[prost(double, optional, tag = "2")]
    number: Option<f64>,
    #[prost(message, optional, boxed, tag = "5")]
    object: Option<Box<Object>>,
    #[prost(message, optional, boxed, tag = "6")]
    list: Option<Box<List>>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Object {
    #[prost(btree_map = "string, message", tag = "1")]
    fields: std::collections::BTreeMap<String, Anything>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct List {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Anything>,
}

#[test]
fn what_is_read_nests_as_deep_as_services_decode_and_no_deeper() {
    // A value and its list are two messages; a value, its object and the entry are three.
    for (open, close, deepest) in [("[", "]", 49), ("{\"a\":", "}", 33)] {
        let nested = |levels: usize| format!("{{\"anything\":{}1{}}}", open.repeat(levels), close.repeat(levels));
        let message = read(&nested(deepest)).unwrap();
        let bytes = message.encode_to_vec();
        assert!(DynamicMessage::decode(message.descriptor(), bytes.as_slice()).is_ok());
        assert!(Holder::decode(bytes.as_slice()).is_ok());
        assert_eq!(read(&nested(deepest + 1)).unwrap_err().violations[0].rule, "DEPTH");
    }
    // The level that is refused is one that they refuse.
    let mut anything = Anything::default();
    for _ in 0..50 {
        let list = List { values: vec![anything] };
        anything = Anything {
            list: Some(Box::new(list)),
            ..Anything::default()
        };
    }
    let too_deep = Holder {
        anything: Some(anything),
    };
    assert!(Holder::decode(too_deep.encode_to_vec().as_slice()).is_err());
}

#[test]
fn barred_fields_do_not_exist_to_a_body() {
    let barred = [testing::descriptor("Nested").get_field_by_name("name").unwrap()];
    let mut message = testing::empty("Dish");
    let problem = Reader::new(b"{\"nested\":{\"name\":\"x\"}}", &barred)
        .unwrap()
        .message(&mut message)
        .unwrap_err();
    assert_eq!(problem.violations[0].field, "nested.name");
}

#[test]
fn the_paths_of_a_mask_are_the_keys_of_the_body_down_to_the_leaves() {
    let json = r#"{"int32Field":1,"string_field":null,"nested":{"amountLeft":1,"inner":{"name":"x"}},
        "parts":[{"name":"y"}],"labels":{"a":"b"},"at":null,"facts":{"a":1},
        "any":{"@type":"t/kitchen.v1.Nested","name":"z"}}"#;
    let mut message = testing::empty("Dish");
    let paths = Reader::new(json.as_bytes(), &[])
        .unwrap()
        .recording()
        .message(&mut message)
        .unwrap();
    assert_eq!(
        paths,
        [
            "int32_field",
            "string_field",
            "nested.amount_left",
            "nested.inner.name",
            "parts",
            "labels",
            "at",
            "facts",
            "any"
        ]
    );
    let paths = Reader::new(b"{\"nested\":{}}", &[])
        .unwrap()
        .recording()
        .message(&mut message)
        .unwrap();
    assert_eq!(paths, ["nested"]);
}

#[test]
fn what_has_no_json_form_is_an_error_and_not_a_lie() {
    for (field, inner) in [
        (
            50,
            testing::pool()
                .get_message_by_name("google.protobuf.Timestamp")
                .unwrap(),
        ),
        (
            51,
            testing::pool().get_message_by_name("google.protobuf.Duration").unwrap(),
        ),
    ] {
        let mut value = DynamicMessage::new(inner);
        value.set_field_by_number(1, prost_reflect::Value::I64(i64::MAX));
        let mut message = testing::empty("Dish");
        message.set_field_by_number(field, prost_reflect::Value::Message(value));
        assert!(Writer::new(&mut Vec::new(), &[]).message(&message).is_err());
    }
    let mut any = DynamicMessage::new(testing::pool().get_message_by_name("google.protobuf.Any").unwrap());
    any.set_field_by_number(1, prost_reflect::Value::String("t/unknown.Type".to_owned()));
    assert!(Writer::new(&mut Vec::new(), &[]).message(&any).is_err());
}

mod random;

/// A message that is printed as text; the descriptors in its own `Debug` refer to themselves
/// without an end.
struct Shown(DynamicMessage);

impl std::fmt::Debug for Shown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_message_survives_json(Shown(message) in random::message("Dish").prop_map(Shown)) {
        let json = write(&message);
        let again = read(&json).map_err(|problem| TestCaseError::fail(format!("{json}: {problem:?}")))?;
        // NaN is not equal to itself; its bytes are.
        prop_assert_eq!(sorted(&again), sorted(&message), "{}", json);
    }

    #[test]
    fn prost_reflect_reads_the_same_message_from_what_is_written(
        Shown(message) in random::message("Dish").prop_map(Shown)
    ) {
        let json = write(&message);
        let mut deserializer = serde_json::Deserializer::from_str(&json);
        let oracle = DynamicMessage::deserialize(testing::descriptor("Dish"), &mut deserializer);
        let oracle = oracle.map_err(|error| TestCaseError::fail(format!("{json}: {error}")))?;
        prop_assert_eq!(sorted(&oracle), sorted(&message), "{}", json);
    }

    #[test]
    fn any_text_is_read_or_refused_without_a_panic(text in TOKENS) {
        let _ = read(&text);
    }
}

/// Tokens of JSON in any order.
const TOKENS: &str = concat!(
    r#"\{("[a-z_0-9]{1,6}"|"int32_field"|"nested"|"anything"|"#,
    r#"[\[\]{}:,0-9e.\-]|null|true|"@type"|"any"){0,20}\}?"#
);

/// The message as text in a fixed order: maps have none of their own.
fn sorted(message: &DynamicMessage) -> String {
    write(&DynamicMessage::decode(message.descriptor(), message.encode_to_vec().as_slice()).unwrap())
}

#[test]
fn random_json_is_read_or_refused() {
    const PARTS: &[&str] = &[
        "{",
        "}",
        "[",
        "]",
        ":",
        ",",
        "\"",
        "\"menu\"",
        "\"next\"",
        "\"tag\"",
        "\"since\"",
        "null",
        "true",
        "1e999",
        "-0",
        "9223372036854775808",
        "\\u0000",
        "\\ud800",
        "\"2026-01-31T12:00:00Z\"",
        "\"1.5s\"",
        "\"@type\"",
        "\"type.googleapis.com/kitchen.v1.Nested\"",
        "[[[[[[[[",
        "{\"menu\":",
        "NaN",
        " ",
    ];
    quartet_testkit::random::rounds(20_000, |random| {
        let text = random.text(PARTS, 16);
        let _ = read(&text);
    });
}
