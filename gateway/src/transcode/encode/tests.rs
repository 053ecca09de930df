//! What a plan makes of JSON and pairs is what is made of them as messages: the same is taken, and
//! the same comes of it.

use std::sync::LazyLock;

use prost::Message;
use prost_reflect::{DynamicMessage, FieldDescriptor, Kind, MessageDescriptor, Value};
use quartet_proto::descriptors;
use quartet_testkit::random::rounds;

use super::*;
use crate::testing;
use crate::transcode::known::known;
use crate::transcode::query::{self, Excluded};
use crate::transcode::wire::tests::everything;
use crate::transcode::wire::tests::random::Random;
use crate::transcode::{json, mask};

pub(crate) mod random;

/// Every type of the suite and of the tests' protos that has a plan where no `Any` can be set.
fn types() -> &'static [(MessageDescriptor, Plan)] {
    static TYPES: LazyLock<Vec<(MessageDescriptor, Plan)>> = LazyLock::new(|| {
        let pools = [everything(), testing::pool(), descriptors::pool()];
        let messages = pools
            .into_iter()
            .flat_map(|pool| pool.all_messages().collect::<Vec<_>>());
        let messages = messages.filter(|message| !message.is_map_entry());
        let planned = messages.filter_map(|message| Some((message.clone(), Plan::compile(&message, barred())?)));
        planned.collect()
    });
    &TYPES
}

/// Fields that only a message can hold, and some of those that may not be set.
fn barred() -> &'static [FieldDescriptor] {
    static BARRED: LazyLock<Vec<FieldDescriptor>> = LazyLock::new(|| {
        let is_any = |kind: Kind| match kind {
            Kind::Message(message) if message.is_map_entry() => message
                .map_entry_value_field()
                .kind()
                .as_message()
                .is_some_and(|value| value.full_name() == ANY),
            Kind::Message(message) => message.full_name() == ANY,
            _ => false,
        };
        let pools = [everything(), testing::pool(), descriptors::pool()];
        let messages = pools
            .into_iter()
            .flat_map(|pool| pool.all_messages().collect::<Vec<_>>());
        let fields = messages.flat_map(|message| message.fields().collect::<Vec<_>>());
        fields
            .filter(|field| is_any(field.kind()) || field.name() == "etag")
            .collect()
    });
    &BARRED
}

const ANY: &str = "google.protobuf.Any";

/// A message as text, in which a negative zero that has no presence is gone as it is from messages.
pub(crate) fn shown(descriptor: &MessageDescriptor, bytes: &[u8]) -> String {
    let decode = |bytes: &[u8]| DynamicMessage::decode(descriptor.clone(), bytes).unwrap();
    let message = decode(&decode(bytes).encode_to_vec());
    let mut out = Vec::new();
    match json::Writer::new(&mut out, &[]).message(&message) {
        Ok(()) => String::from_utf8(out).unwrap(),
        // It nests as deep as a service reads it, and deeper than a reply is written.
        Err(_) => message.to_string(),
    }
}

/// What becomes of a body or of pairs: the message, and the paths of the fields that they name.
type Outcome = Option<(String, String)>;

fn streamed(descriptor: &MessageDescriptor, read: impl FnOnce(&mut Named, &mut Vec<u8>) -> Plain<()>) -> Outcome {
    let (mut named, mut out) = (Named::default(), Vec::new());
    read(&mut named, &mut out).ok()?;
    let mask = everything().get_message_by_name("google.protobuf.FieldMask").unwrap();
    let paths = DynamicMessage::decode(mask, named.mask()).unwrap();
    let paths = paths.get_field_by_number(1).unwrap().into_owned();
    let paths: Vec<_> = paths.as_list().unwrap().iter().filter_map(Value::as_str).collect();
    Some((shown(descriptor, &out), paths.join(",")))
}

/// The same as a message.
fn read_into(
    descriptor: &MessageDescriptor,
    read: impl FnOnce(&mut DynamicMessage) -> Result<Vec<String>, crate::problem::Problem>,
) -> Outcome {
    let mut message = DynamicMessage::new(descriptor.clone());
    let named = read(&mut message).ok()?;
    Some((shown(descriptor, &message.encode_to_vec()), named.join(",")))
}

/// Compares both ways over a body that fills a whole message.
pub(crate) fn compare_body(descriptor: &MessageDescriptor, body: &[u8]) -> bool {
    let Some(plan) = Plan::compile(descriptor, barred()) else {
        return false;
    };
    compare_whole(descriptor, &plan, body, &format!("{}", String::from_utf8_lossy(body)))
}

fn compare_whole(descriptor: &MessageDescriptor, plan: &Plan, body: &[u8], context: &str) -> bool {
    let old = read_into(descriptor, |message| {
        json::Reader::new(body, barred())?.recording().message(message)
    });
    let new = streamed(descriptor, |named, out| {
        plan.json(body, Target::Whole, Some(named), out)
    });
    assert_eq!(new, old, "{context}");
    old.is_some()
}

fn compare_field(descriptor: &MessageDescriptor, plan: &Plan, field: &FieldDescriptor, body: &[u8], context: &str) {
    let Some(index) = plan.field(field) else {
        return;
    };
    let old = read_into(descriptor, |message| {
        json::Reader::new(body, barred())?.field(message, field)
    });
    let new = streamed(descriptor, |_, out| plan.json(body, Target::Field(index), None, out));
    assert_eq!(new, old, "{context}");
    if !is_plain(field) {
        return;
    }
    let old = read_into(descriptor, |message| match message.get_field_mut(field) {
        Value::Message(inner) => json::Reader::new(body, barred())?.inside().recording().message(inner),
        _ => unreachable!(),
    });
    let new = streamed(descriptor, |named, out| {
        plan.json(body, Target::Inside(index), Some(named), out)
    });
    assert_eq!(new, old, "{context} inside");
}

fn is_plain(field: &FieldDescriptor) -> bool {
    let is_message = matches!(field.kind(), Kind::Message(inner) if known(&inner).is_none());
    is_message && !field.is_list() && !field.is_map()
}

fn compare_pairs(descriptor: &MessageDescriptor, plan: &Plan, pairs: &str, random: &mut Random, context: &str) -> bool {
    let fields: Vec<_> = descriptor.fields().collect();
    let bound = fields
        .iter()
        .filter(|_| random.one_in(9))
        .map(|field| vec![field.number()]);
    let excluded = Excluded {
        chains: bound.collect(),
        barred: barred().to_vec(),
        all: false,
        is_form: false,
    };
    let old = read_into(descriptor, |message| query::apply(pairs, message, &excluded));
    let new = streamed(descriptor, |named, out| {
        plan.pairs(pairs, Target::Whole, &excluded, Some(named), out)
    });
    assert_eq!(new, old, "{context} {pairs}");
    if let Some(field) = fields.iter().find(|field| is_plain(field))
        && let Some(index) = plan.field(field)
    {
        let excluded = Excluded {
            barred: barred().to_vec(),
            ..Excluded::default()
        };
        let old = read_into(descriptor, |message| match message.get_field_mut(field) {
            Value::Message(inner) => query::apply(pairs, inner, &excluded),
            _ => unreachable!(),
        });
        let new = streamed(descriptor, |named, out| {
            plan.pairs(pairs, Target::Inside(index), &excluded, Some(named), out)
        });
        assert_eq!(new, old, "{context} {pairs} inside");
    }
    old.is_some()
}

/// Compares both ways over random bodies and pairs; returns which of them were taken.
fn compare(seed: u64) -> (bool, bool) {
    let mut random = Random::new(seed);
    let (descriptor, plan) = &types()[random.below(types().len())];
    let body = random::message(&mut random, descriptor, 4);
    let context = format!("seed {seed}, {}, {body}", descriptor.full_name());
    let is_taken = compare_whole(descriptor, plan, body.as_bytes(), &context);
    if known(descriptor).is_some() {
        return (is_taken, false);
    }
    let fields: Vec<_> = descriptor.fields().collect();
    if let Some(field) = fields.get(random.below(fields.len())) {
        let body = random::field(&mut random, field, 3);
        let context = format!("seed {seed}, {}, {body}", field.full_name());
        compare_field(descriptor, plan, field, body.as_bytes(), &context);
    }
    let pairs = random::pairs(&mut random, descriptor);
    let context = format!("seed {seed}, {}", descriptor.full_name());
    (is_taken, compare_pairs(descriptor, plan, &pairs, &mut random, &context))
}

#[test]
fn random_requests_are_made_as_if_they_had_been_messages() {
    rounds(6_000, |random| {
        compare(random.number());
    });
}

#[test]
fn enough_of_the_random_requests_are_taken() {
    let outcomes: Vec<_> = (0..600).map(compare).collect();
    let bodies = outcomes.iter().filter(|(body, _)| *body).count();
    let pairs = outcomes.iter().filter(|(_, pairs)| *pairs).count();
    assert!(
        (250..550).contains(&bodies) && (200..500).contains(&pairs),
        "{bodies} {pairs}"
    );
}

#[test]
fn what_only_a_message_can_hold_has_no_plan() {
    assert!(Plan::compile(&testing::descriptor("Dish"), &[]).is_none());
    assert!(Plan::compile(&testing::descriptor("UpdateDishRequest"), &[]).is_none());
    assert!(Plan::compile(&testing::descriptor("CookDishRequest"), &[]).is_some());
}

#[test]
fn requests_nest_as_deep_either_way() {
    let dish = testing::descriptor("Dish");
    let mut taken = 0;
    for depth in 28..104 {
        for (open, inner, close) in [("[", "1", "]"), ("{\"a\":", "1", "}"), ("{\"inner\":", "{}", "}")] {
            for name in ["anything", "nested", "list"] {
                let text = format!("{{\"{name}\":{}{inner}{}}}", open.repeat(depth), close.repeat(depth));
                taken += usize::from(compare_body(&dish, text.as_bytes()));
            }
        }
    }
    assert!(taken > 80, "{taken}");
}

#[test]
fn a_negative_zero_keeps_its_sign() {
    let dish = testing::descriptor("Dish");
    let plan = Plan::compile(&dish, barred()).unwrap();
    for (body, written) in [
        ("{\"double_field\":-0.0}", "\"double_field\":-0.0"),
        ("{\"float_field\":\"-0\"}", "\"float_field\":-0.0"),
        ("{\"double_value\":-0}", "\"double_value\":-0.0"),
        ("{\"double_field\":0.0}", "\"double_field\":0.0"),
    ] {
        let mut out = Vec::new();
        plan.json(body.as_bytes(), Target::Whole, None, &mut out).unwrap();
        let message = DynamicMessage::decode(dish.clone(), out.as_slice()).unwrap();
        let mut json = Vec::new();
        json::Writer::new(&mut json, &[]).message(&message).unwrap();
        let json = String::from_utf8(json).unwrap();
        assert!(json.contains(written), "{body}: {json}");
    }
    // What is the default is not sent.
    let mut out = Vec::new();
    let zeros = b"{\"double_field\":0.0,\"int32_field\":-0,\"string_field\":\"\",\"taste\":0,\"bool_field\":false}";
    plan.json(zeros, Target::Whole, None, &mut out).unwrap();
    assert!(out.is_empty(), "{out:?}");
}

#[test]
fn a_mask_of_everything_is_one() {
    assert_eq!(mask::parse("*").unwrap(), ["*"]);
    let request = testing::descriptor("GetDishRequest");
    let plan = Plan::compile(&request, &[]).unwrap();
    let mut out = Vec::new();
    plan.pairs("read_mask=*", Target::Whole, &Excluded::default(), None, &mut out)
        .unwrap();
    assert!(shown(&request, &out).contains("\"read_mask\":\"*\""));
}

/// Run with `cargo test --release -p quartet-gateway --lib -- --ignored --nocapture how_long`.
#[cfg(not(debug_assertions))]
#[test]
#[ignore = "prints times, which depend on the machine"]
fn how_long_a_create_takes_both_ways() {
    let body = br#"{"title": "Write the report of the quarter", "description": "With the figures of all services",
        "due_at": "2030-01-01T09:00:00Z", "priority": "PRIORITY_HIGH",
        "tag_ids": ["01890a5d-ac96-774b-bcce-b302099a8057", "01890a5d-ac96-774b-bcce-b302099a8058"]}"#;
    let descriptor = descriptors::pool()
        .get_message_by_name("quartet.todos.v1.CreateTodoRequest")
        .unwrap();
    let plan = Plan::compile(&descriptor, &[]).unwrap();
    let time = |make: &dyn Fn() -> Vec<u8>| {
        let mut best = f64::INFINITY;
        for _ in 0..9 {
            let start = std::time::Instant::now();
            for _ in 0..50_000 {
                std::hint::black_box(make());
            }
            best = best.min(start.elapsed().as_secs_f64() * 1e6 / 50_000.0);
        }
        best
    };
    let old = time(&|| {
        let mut message = DynamicMessage::new(descriptor.clone());
        json::Reader::new(body, &[]).unwrap().message(&mut message).unwrap();
        message.encode_to_vec()
    });
    let new = time(&|| {
        let mut out = Vec::with_capacity(body.len() + 64);
        plan.json(body, Target::Whole, None, &mut out).unwrap();
        out
    });
    println!("create: {old:.2} µs as a message, {new:.2} µs straight");
}
