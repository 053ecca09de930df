//! What is written from the wire is what is written of a decoded message, for random bytes of every
//! type that there is.

use std::path::Path;
use std::sync::LazyLock;

use bytes::Bytes;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use quartet_proto::descriptors;
use quartet_testkit::random::rounds;

use super::cursor::Malformed;
use super::*;
use crate::testing;
use crate::transcode::field_tree::FieldTree;
use crate::transcode::received::Received;
use crate::transcode::{json, known};

pub(in crate::transcode) mod random;

use random::Random;

pub(in crate::transcode) fn everything() -> &'static DescriptorPool {
    static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/everything.proto");
        testing::compile(&std::fs::read_to_string(path).unwrap()).unwrap()
    });
    &POOL
}

/// Every type of the suite and of the tests' protos that has a plan.
fn types() -> &'static [MessageDescriptor] {
    static TYPES: LazyLock<Vec<MessageDescriptor>> = LazyLock::new(|| {
        let mut types = Vec::new();
        for pool in [everything(), testing::pool(), descriptors::pool()] {
            let messages = pool.all_messages().filter(|message| !message.is_map_entry());
            types.extend(messages.filter(|message| Plan::compile(message, None, &[]).is_some()));
        }
        types
    });
    &TYPES
}

/// What becomes of the bytes the old way: decoded into a message, which is written.
fn decoded(
    descriptor: &MessageDescriptor,
    bytes: &[u8],
    body: Option<&FieldDescriptor>,
    omitted: &[FieldDescriptor],
    mask: Option<&FieldTree>,
) -> Result<String, &'static str> {
    let message = DynamicMessage::decode(descriptor.clone(), bytes).map_err(|_| "malformed")?;
    let mut out = Vec::new();
    let mut writer = json::Writer::new(&mut out, omitted).masked(mask);
    let written = match body {
        Some(field) if field.supports_presence() && !message.has_field(field) => return Ok("null".to_owned()),
        Some(field) => writer.field(field, &message.get_field(field)),
        None => writer.message(&message),
    };
    written.map_err(|_| "unwritable")?;
    Ok(String::from_utf8(out).unwrap())
}

fn streamed(plan: &Plan, bytes: &[u8], mask: Option<&FieldTree>) -> Result<String, &'static str> {
    let mut out = Vec::new();
    let written = plan.write(&Bytes::copy_from_slice(bytes), mask, &mut out);
    match written {
        Ok(()) => Ok(String::from_utf8(out).unwrap()),
        Err(Failure::Malformed(why)) if why == Malformed::MapWireType.to_string() => Err(MAP),
        Err(Failure::Malformed(_)) => Err("malformed"),
        Err(Failure::Unwritable(_)) => Err("unwritable"),
    }
}

/// What is refused here alone.
const MAP: &str = "a map of another wire type";

/// Both outcomes are one text, or both are a failure. Of a message that is malformed and has what
/// has no JSON form as well, either may come first.
fn assert_same(streamed: &Result<String, &'static str>, decoded: &Result<String, &'static str>, context: &str) {
    match (streamed, decoded) {
        (Err(MAP), _) => {}
        (Err("malformed"), Err("unwritable")) => panic!("{context}: refused as malformed, and is not"),
        (Err(_), Err(_)) => {}
        _ => assert_eq!(streamed, decoded, "{context}"),
    }
}

/// Compares both ways over one random message; returns whether it was fit to be written.
fn compare(seed: u64) -> bool {
    let mut random = Random::new(seed);
    let descriptor = &types()[random.below(types().len())];
    let bytes = random.message(descriptor, 4);
    let context = format!("seed {seed}, {}, {bytes:02x?}", descriptor.full_name());
    let plan = Plan::compile(descriptor, None, &[]).unwrap();
    let whole = decoded(descriptor, &bytes, None, &[], None);
    assert_same(&streamed(&plan, &bytes, None), &whole, &context);
    let is_message = DynamicMessage::decode(descriptor.clone(), bytes.as_slice()).is_ok();
    let checked = plan.check(&bytes);
    if checked != Err(Malformed::MapWireType) {
        assert_eq!(checked.is_ok(), is_message, "{context}");
    }

    let fields: Vec<_> = descriptor.fields().collect();
    let picked: Vec<_> = fields.iter().filter(|_| random.one_in(3)).cloned().collect();
    let plan = Plan::compile(descriptor, None, &picked).unwrap();
    let without = decoded(descriptor, &bytes, None, &picked, None);
    assert_same(
        &streamed(&plan, &bytes, None),
        &without,
        &format!("{context} without {}", names(&picked)),
    );

    if let Some(field) = picked.first() {
        let plan = Plan::compile(descriptor, Some(field), &[]).unwrap();
        let body = decoded(descriptor, &bytes, Some(field), &[], None);
        assert_same(
            &streamed(&plan, &bytes, None),
            &body,
            &format!("{context} at {}", field.name()),
        );

        let paths: Vec<_> = picked.iter().map(|field| path(&mut random, field)).collect();
        let mask = FieldTree::of(descriptor, &paths).unwrap();
        let plan = Plan::compile(descriptor, None, &[]).unwrap();
        let masked = decoded(descriptor, &bytes, None, &[], Some(&mask));
        assert_same(
            &streamed(&plan, &bytes, Some(&mask)),
            &masked,
            &format!("{context} of {paths:?}"),
        );
    }
    if is_message {
        compare_fields(descriptor, &bytes, &context);
    }
    whole.is_ok()
}

/// The `Debug` of descriptors refers to itself without an end.
fn names(fields: &[FieldDescriptor]) -> String {
    let names: Vec<_> = fields.iter().map(FieldDescriptor::name).collect();
    names.join(", ")
}

/// A path that begins with `field`.
fn path(random: &mut Random, field: &FieldDescriptor) -> String {
    if let Kind::Message(inner) = field.kind()
        && !field.is_map()
        && known::known(&inner).is_none()
        && inner.fields().len() > 0
        && random.one_in(2)
    {
        let below = inner.fields().nth(random.below(inner.fields().len())).unwrap();
        return format!("{}.{}", field.name(), path(random, &below));
    }
    field.name().to_owned()
}

/// Compares what both forms of a message say of single fields, two levels deep.
fn compare_fields(descriptor: &MessageDescriptor, bytes: &[u8], context: &str) {
    let wire = Received::Wire(Bytes::copy_from_slice(bytes));
    let message = Received::Message(DynamicMessage::decode(descriptor.clone(), bytes).unwrap());
    let is_single = |field: &FieldDescriptor| !field.is_list() && !field.is_map();
    for field in descriptor.fields().filter(is_single) {
        let context = format!("{context} {}", field.name());
        if let Kind::Message(inner) = field.kind() {
            for below in inner.fields().filter(is_single) {
                let chain = [field.clone(), below];
                assert_eq!(wire.get_in(&chain), message.get_in(&chain), "{context}");
            }
        } else {
            assert_eq!(wire.get(&field), message.get(&field), "{context}");
            assert_eq!(wire.text(&field), message.text(&field), "{context}");
        }
    }
}

#[test]
fn random_messages_are_written_as_if_they_had_been_decoded() {
    rounds(6_000, |random| {
        compare(random.number());
    });
}

#[test]
fn enough_of_the_random_messages_can_be_written() {
    let written = (0..400).filter(|seed| compare(*seed)).count();
    assert!((150..390).contains(&written), "{written}");
}

#[test]
fn every_reply_of_the_suite_has_a_plan() {
    let services: Vec<_> = descriptors::pool().services().collect();
    let methods = services.iter().flat_map(|service| service.methods());
    for method in methods {
        let output = method.output();
        assert!(Plan::compile(&output, None, &[]).is_some(), "{}", output.full_name());
    }
}

#[test]
fn what_a_plan_cannot_do_has_none() {
    let pool = testing::compile(
        r#"
        syntax = "proto2";
        package old.v1;
        message Grouped {
          optional group Inner = 1 { optional int32 number = 1; }
        }
        message Extended {
          extensions 100 to 200;
        }
        extend Extended {
          optional string more = 100;
        }
        message Holder {
          repeated Extended extended = 1;
        }
        message Plain {
          optional int32 number = 1 [default = 7];
          required string text = 2;
        }
        "#,
    )
    .unwrap();
    let plan = |name: &str| Plan::compile(&pool.get_message_by_name(name).unwrap(), None, &[]);
    assert!(plan("old.v1.Grouped").is_none());
    assert!(plan("old.v1.Extended").is_none());
    assert!(plan("old.v1.Holder").is_none());
    let plain = plan("old.v1.Plain").unwrap();
    assert_eq!(streamed(&plain, b"", None).unwrap(), "{}");
    assert_eq!(streamed(&plain, b"\x08\x01", None).unwrap(), "{\"number\":1}");
}

/// `message` in the field `number` of `depth` messages, each in the field of the next one.
fn nested(number: u32, depth: usize, message: &[u8]) -> Vec<u8> {
    let mut bytes = message.to_vec();
    for _ in 0..depth {
        let mut outer = Vec::new();
        prost::encoding::bytes::encode(number, &bytes, &mut outer);
        bytes = outer;
    }
    bytes
}

#[test]
fn depth_is_bounded_where_decoders_and_writers_bound_it() {
    let mut seen = Vec::new();
    let maps = everything().get_message_by_name("everything.v1.Maps").unwrap();
    let choices = everything().get_message_by_name("everything.v1.Choices").unwrap();
    // A varint and a group that are unknown, and a group in a group.
    let ends: [&[u8]; 4] = [
        b"",
        b"\xc0\x3e\x01",
        b"\xc3\x3e\xc4\x3e",
        b"\xc3\x3e\x0b\x08\x01\x0c\xc4\x3e",
    ];
    for depth in 96..104 {
        for end in ends {
            let inner = nested(3, depth, end);
            // The same where something unknown stands in the entry of a map.
            let entries = (0..depth).fold(end.to_vec(), |inner, _| nested(17, 1, &nested(2, 1, &inner)));
            let entry = (1..depth).fold(nested(17, 1, end), |inner, _| nested(17, 1, &nested(2, 1, &inner)));
            for (descriptor, bytes) in [(&choices, inner), (&maps, entries), (&maps, entry)] {
                for body in [None, Some(descriptor.get_field(3).unwrap()), descriptor.get_field(17)] {
                    let Some(plan) = Plan::compile(descriptor, body.as_ref(), &[]) else {
                        continue;
                    };
                    let old = decoded(descriptor, &bytes, body.as_ref(), &[], None);
                    assert_same(&streamed(&plan, &bytes, None), &old, &format!("{depth} {end:?}"));
                    let is_message = DynamicMessage::decode(descriptor.clone(), bytes.as_slice()).is_ok();
                    assert_eq!(plan.check(&bytes).is_ok(), is_message, "{depth} {end:?}");
                    seen.push(old.map(|_| ()));
                }
            }
        }
    }
    for outcome in [Ok(()), Err("malformed"), Err("unwritable")] {
        assert!(seen.contains(&outcome), "{outcome:?}");
    }
}

#[test]
fn bytes_that_are_no_message_are_refused() {
    let dish = testing::descriptor("Dish");
    let plan = Plan::compile(&dish, None, &[]).unwrap();
    let cases: [&[u8]; 17] = [
        // A key that is cut off, too long, of field 0, and of no wire type.
        b"\x80",
        b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
        b"\x88\x80\x80\x80\x80\x01\x00",
        b"\x00\x00",
        b"\x0e\x00",
        // The end of a group that was not begun, another's end, and no end.
        b"\x0c",
        b"\xc3\x3e\xcc\x3e",
        b"\xc3\x3e",
        // A string for a number, and bytes that are no string.
        b"\x0a\x00",
        b"\x72\x01\xff",
        // The same, and another one that takes its place.
        b"\x72\x01\xff\x72\x00",
        // A length beyond the end of all, and one beyond the end of the message around it.
        b"\x72\x02a",
        b"\x8a\x01\x02\x0a\x01a",
        // A number with more than 64 bits.
        b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02",
        // Two parts of a message that are whole only together.
        b"\x8a\x01\x03\x0a\x03a\x8a\x01\x02bc",
        // An entry that another one with the same key takes the place of.
        b"\xf2\x01\x06\x0a\x01a\x12\x01\xff\xf2\x01\x03\x0a\x01a",
        // A list of numbers that ends within one.
        b"\xa2\x01\x02\x01\x80",
    ];
    for bytes in cases {
        assert!(DynamicMessage::decode(dish.clone(), bytes).is_err(), "{bytes:02x?}");
        assert_eq!(streamed(&plan, bytes, None), Err("malformed"), "{bytes:02x?}");
        assert!(plan.check(bytes).is_err(), "{bytes:02x?}");
    }
}

#[test]
fn every_character_is_escaped_as_it_was() {
    let dish = testing::descriptor("Dish");
    let plan = Plan::compile(&dish, None, &[]).unwrap();
    for character in (0..0x250).filter_map(char::from_u32) {
        let mut bytes = Vec::new();
        prost::encoding::string::encode(14, &format!("a{character}b"), &mut bytes);
        let old = decoded(&dish, &bytes, None, &[], None);
        assert!(old.is_ok());
        assert_eq!(streamed(&plan, &bytes, None), old);
    }
}

#[test]
fn defaults_of_fields_that_headers_show_are_those_of_the_message() {
    let dish = testing::descriptor("Dish");
    let message = DynamicMessage::new(dish.clone());
    assert_eq!(message.get_field_by_number(1).as_deref(), Some(&Value::I32(0)));
    compare_fields(&dish, b"", "empty");
}

/// Run with `cargo test --release -p quartet-gateway --lib -- --ignored --nocapture how_long`.
#[cfg(not(debug_assertions))]
#[test]
#[ignore = "prints times, which depend on the machine"]
fn how_long_a_page_takes_both_ways() {
    let todo = r#"{"id":"01890a5d-ac96-774b-bcce-b302099a8057","title":"Write the report of the quarter",
        "description":"With the figures of all four services","completed":false,"due_at":"2026-12-01T12:00:00Z",
        "priority":2,"tags":[{"id":"01890a5d-ac96-774b-bcce-b302099a8058","name":"work"}],
        "user_id":"01890a5d-ac96-774b-bcce-b302099a8059","created_at":"2026-11-27T05:48:08.123456Z",
        "updated_at":"2026-11-27T05:48:08.123456Z","etag":"01890a5dac96774b"}"#;
    for (name, count) in [("one", 1), ("50", 50), ("1,000", 1_000)] {
        let page = format!("{{\"data\":[{}],\"total_count\":{count}}}", vec![todo; count].join(","));
        let descriptor = descriptors::pool()
            .get_message_by_name("quartet.todos.v1.ListTodosResponse")
            .unwrap();
        let mut message = DynamicMessage::new(descriptor.clone());
        let reader = json::Reader::new(page.as_bytes(), &[]).unwrap();
        reader.message(&mut message).unwrap();
        let bytes = Bytes::from(prost::Message::encode_to_vec(&message));
        let plan = Plan::compile(&descriptor, None, &[]).unwrap();
        let read = {
            let start = std::time::Instant::now();
            for _ in 0..100 {
                let mut message = DynamicMessage::new(descriptor.clone());
                let reader = json::Reader::new(page.as_bytes(), &[]).unwrap();
                reader.message(&mut message).unwrap();
                std::hint::black_box(prost::Message::encode_to_vec(&message));
            }
            start.elapsed().as_secs_f64() * 1e4
        };
        let time = |write: &dyn Fn(&mut Vec<u8>)| {
            let rounds = 20_000 / count + 10;
            let mut best = f64::INFINITY;
            for _ in 0..7 {
                let start = std::time::Instant::now();
                for _ in 0..rounds {
                    let mut out = Vec::with_capacity(256 + bytes.len() * 2);
                    write(&mut out);
                    std::hint::black_box(out);
                }
                best = best.min(start.elapsed().as_secs_f64() * 1e6 / rounds as f64);
            }
            best
        };
        let decoded = time(&|out| {
            let message = DynamicMessage::decode(descriptor.clone(), bytes.clone()).unwrap();
            json::Writer::new(out, &[]).message(&message).unwrap();
        });
        let streamed = time(&|out| plan.write(&bytes, None, out).unwrap());
        println!("{name}: {decoded:.2} µs decoded, {streamed:.2} µs from the wire; {read:.2} µs to read it");
    }
}
