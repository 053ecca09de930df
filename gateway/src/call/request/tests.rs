//! What is made straight of a request is what is made of it as a message: the same requests are
//! taken, of every binding of the suite and of the tests' kitchen.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use quartet_proto::descriptors;
use quartet_rpc::Upstream;
use quartet_testkit::random::rounds;
use tokio_util::sync::CancellationToken;

use super::*;
use crate::call::Config;
use crate::call::tests::config;
use crate::routes::Routes;
use crate::testing;
use crate::transcode::encode::tests::random::{self as random_text, Random};
use crate::transcode::encode::tests::shown;

/// The plans of all bindings.
fn plans() -> &'static [Plan] {
    static PLANS: LazyLock<Vec<Plan>> = LazyLock::new(|| {
        let config = settings();
        let mut plans = Vec::new();
        for pool in [testing::pool(), descriptors::pool()] {
            let names = pool.services().map(|service| service.full_name().to_owned());
            let backends: HashMap<_, _> = names.map(|name| (name, Upstream::local("x").0)).collect();
            let routes = Arc::new(Routes::compile(pool).unwrap());
            let bindings = routes.shared_bindings();
            plans.extend(bindings.map(|binding| Plan::compile(binding, &backends, config).unwrap()));
        }
        plans
    });
    &PLANS
}

fn settings() -> &'static Config {
    static SETTINGS: LazyLock<Config> = LazyLock::new(|| config(CancellationToken::new()));
    &SETTINGS
}

/// Compares both ways over a random request; `None` where its binding makes messages alone, else
/// whether it was taken.
fn compare(seed: u64) -> Option<bool> {
    let mut random = Random::new(seed);
    let plan = &plans()[random.below(plans().len())];
    let straight = plan.request.straight.as_ref()?;
    let fields = plan.binding.path_fields.iter();
    let captures = fields.map(|_| Cow::Borrowed(["7", "me", "", "x y"][random.below(4)]));
    let captures: Vec<Cow<'_, str>> = captures.collect();
    let query = match random.below(3) {
        0 => random_text::pairs(&mut random, &plan.request.message),
        1 if plan.request.mask.is_some() => {
            ["update_mask=*", "update_mask=", "update_mask=a"][random.below(3)].to_owned()
        }
        _ => String::new(),
    };
    let mut request = http::Request::builder().uri(format!("/?{query}"));
    for (name, value) in [
        ("if-match", "\"a\", \"b\""),
        ("if-match", ","),
        ("last-event-id", "9"),
        ("cookie", "session=s; device=d"),
    ] {
        if random.one_in(3) {
            request = request.header(name, value);
        }
    }
    let (parts, ()) = request.body(()).unwrap().into_parts();
    let cookies = cookie::Exchange::begin(&plan.cookies, &parts.headers, &settings().origins).ok()?;
    let filling = filling(&mut random, plan);
    let request = Request {
        plan,
        parts: &parts,
        captures: &captures,
        cookies: &cookies,
        caller: None,
    };
    let context = format!("seed {seed}, {}, ?{query} {captures:?} {filling:?}", plan.target.path);
    let shown = |bytes: &[u8]| shown(&plan.request.message, bytes);
    let message = request
        .message(filling.as_ref())
        .ok()
        .map(|message| shown(&message.encode_to_vec()));
    let made = straight
        .fill(&request, filling.as_ref(), Vec::new())
        .ok()
        .map(|bytes| shown(&bytes));
    assert_eq!(made, message, "{context}");
    Some(message.is_some())
}

fn filling(random: &mut Random, plan: &Plan) -> Option<Filling> {
    let (body, form) = match &plan.request.body {
        Body::Whole => {
            let message = plan.request.message.clone();
            (random_text::message(random, &message, 4), Some(message))
        }
        Body::Field(field, is_form) => {
            let message = field.kind().as_message().filter(|_| *is_form).cloned();
            (random_text::field(random, field, 4), message)
        }
        _ => return None,
    };
    match form {
        Some(message) if random.one_in(4) => Some((Content::Form, random_text::pairs(random, &message).into())),
        _ if random.one_in(8) => Some((Content::Json, Bytes::from_static(b" \n"))),
        _ => Some((Content::Json, body.into())),
    }
}

#[test]
fn random_requests_are_filled_as_if_they_had_been_messages() {
    rounds(6_000, |random| {
        compare(random.number());
    });
}

#[test]
fn enough_of_the_random_requests_are_taken() {
    let outcomes: Vec<_> = (0..2_000).filter_map(compare).collect();
    let taken = outcomes.iter().filter(|is_taken| **is_taken).count();
    assert!(outcomes.len() > 1_500 && taken > 400, "{taken} of {}", outcomes.len());
}

#[test]
fn every_binding_of_the_suite_is_filled_without_a_message() {
    let of_suite = |plan: &&Plan| plan.target.path.as_str().starts_with("/quartet.");
    let slow = plans()
        .iter()
        .filter(of_suite)
        .filter(|plan| plan.request.straight.is_none());
    let slow: Vec<_> = slow.map(|plan| plan.target.path.as_str()).collect();
    assert!(slow.is_empty(), "{slow:?}");
}
