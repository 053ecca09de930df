//! What counters promise, wherever they count; and what becomes of them when Redis is away.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use quartet_config::Secret;
use quartet_config::value::Span;
use quartet_limits::counters::Counters;
use quartet_limits::{Bucket, Quota};
use quartet_redis::{Config, Redis};
use quartet_testkit::redis as server;

fn redis(url: String, prefix: String) -> Counters {
    let config = Config {
        redis_url: Some(Secret::new(url)),
        redis_key_prefix: prefix,
        redis_timeout: Span(Duration::from_millis(50)),
    };
    Counters::shared(Redis::open(&config).unwrap().unwrap())
}

fn in_redis() -> Counters {
    let (url, prefix) = server::keys().expect("TEST_REDIS_URL is not set; `make test` starts a server and sets it");
    redis(url, prefix)
}

macro_rules! everywhere {
    ($($name:ident),* $(,)?) => {
        mod here {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                super::$name(super::Counters::local()).await;
            })*
        }
        mod in_redis {
            $(#[tokio::test(flavor = "multi_thread")] #[ignore = "needs Redis: make test"] async fn $name() {
                super::$name(super::in_redis()).await;
            })*
        }
    };
}

everywhere! {
    a_quota_can_be_used_up_at_once_and_comes_back_evenly,
    of_many_at_once_no_more_than_the_quota_pass,
    a_call_counts_in_all_buckets_or_in_none,
    subjects_do_not_share_a_bucket,
    the_headers_show_what_is_left,
    a_quota_that_shrinks_is_used_up_by_the_same_share,
}

fn bucket(name: &str, key: &str, calls: u32, period: Duration) -> Bucket {
    Bucket {
        name: name.into(),
        key: key.into(),
        quota: Quota::new(calls, period),
    }
}

const MINUTE: Duration = Duration::from_secs(60);

async fn admitted(counters: &Counters, buckets: &[Bucket], calls: usize) -> usize {
    let mut admitted = 0;
    for _ in 0..calls {
        admitted += usize::from(counters.take(buckets.to_vec()).await.admitted().is_ok());
    }
    admitted
}

async fn a_quota_can_be_used_up_at_once_and_comes_back_evenly(counters: Counters) {
    let buckets = [bucket("user", "u", 4, Duration::from_secs(2))];
    assert_eq!(admitted(&counters, &buckets, 4).await, 4);
    let refused = counters.take(buckets.to_vec()).await.admitted().unwrap_err();
    assert_eq!(&*refused.limit, "user");
    assert!(refused.retry_after <= Duration::from_millis(500), "{refused:?}");
    tokio::time::sleep(refused.retry_after + Duration::from_millis(5)).await;
    assert_eq!(admitted(&counters, &buckets, 1).await, 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(admitted(&counters, &buckets, 4).await, 4);
}

async fn of_many_at_once_no_more_than_the_quota_pass(counters: Counters) {
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let counters = counters.clone();
        calls.spawn(async move {
            let buckets = [bucket("user", "u", 50, Duration::from_secs(3_600))];
            admitted(&counters, &buckets, 5).await
        });
    }
    assert_eq!(calls.join_all().await.iter().sum::<usize>(), 50);
}

async fn a_call_counts_in_all_buckets_or_in_none(counters: Counters) {
    let (wide, narrow) = (bucket("wide", "w", 10, MINUTE), bucket("narrow", "n", 2, MINUTE));
    let both = [wide.clone(), narrow.clone()];
    assert_eq!(admitted(&counters, &both, 5).await, 2);
    let refused = counters.take(both.to_vec()).await.admitted().unwrap_err();
    assert_eq!(&*refused.limit, "narrow");
    // The refused calls have cost the wide one nothing.
    assert_eq!(admitted(&counters, &[wide], 20).await, 8);
}

async fn subjects_do_not_share_a_bucket(counters: Counters) {
    assert_eq!(admitted(&counters, &[bucket("user", "a", 2, MINUTE)], 5).await, 2);
    assert_eq!(admitted(&counters, &[bucket("user", "b", 2, MINUTE)], 5).await, 2);
}

async fn the_headers_show_what_is_left(counters: Counters) {
    let buckets = vec![bucket("user", "u", 10, MINUTE), bucket("login", "l", 3, MINUTE)];
    let verdict = counters.take(buckets).await;
    assert_eq!(
        verdict.policy_header().unwrap(),
        r#""user";q=10;w=60, "login";q=3;w=60"#
    );
    assert_eq!(verdict.header_value().unwrap(), r#""user";r=9;t=6, "login";r=2;t=20"#);
    assert_eq!(counters.take(Vec::new()).await.header_value(), None);
}

async fn a_quota_that_shrinks_is_used_up_by_the_same_share(counters: Counters) {
    assert_eq!(admitted(&counters, &[bucket("user", "u", 100, MINUTE)], 50).await, 50);
    assert_eq!(admitted(&counters, &[bucket("user", "u", 10, MINUTE)], 20).await, 5);
}

/// What a call may take when Redis does not answer, and some room for a busy machine.
const BOUND: Duration = Duration::from_millis(500);

async fn timed(counters: &Counters, buckets: &[Bucket]) -> bool {
    let begun = Instant::now();
    let admitted = counters.take(buckets.to_vec()).await.admitted().is_ok();
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    admitted
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: make test"]
async fn when_redis_dies_the_count_goes_on_from_where_it_was() {
    let mut server = server::Server::start();
    let counters = redis(server.url(), "x:".into());
    let buckets = [bucket("user", "u", 10, Duration::from_secs(3_600))];
    // The first call may come before the connection.
    let mut taken = 0;
    while taken < 6 {
        taken += usize::from(timed(&counters, &buckets).await);
    }
    server.kill();
    for _ in 0..20 {
        taken += usize::from(timed(&counters, &buckets).await);
    }
    assert_eq!(taken, 10);
    // Back, and empty: from now on Redis counts.
    server.restart();
    let begun = Instant::now();
    while !timed(&counters, &buckets).await {
        assert!(begun.elapsed() < Duration::from_secs(20), "Redis is not used again");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: make test"]
async fn a_frozen_redis_holds_nobody_up() {
    let server = server::Server::start();
    let counters = redis(server.url(), "x:".into());
    let buckets = [bucket("user", "u", 1_000, Duration::from_secs(3_600))];
    assert!(timed(&counters, &buckets).await);
    server.freeze();
    let begun = Instant::now();
    for _ in 0..200 {
        assert!(timed(&counters, &buckets).await);
    }
    // A few waited for the timeout, and one now and then; the rest did not wait.
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    server.thaw();
    assert!(timed(&counters, &buckets).await);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: make test"]
async fn a_redis_that_answers_with_errors_is_done_without() {
    let (url, prefix) = server::keys().unwrap();
    let wrong = url.replacen("redis://:", "redis://:not-", 1);
    let counters = redis(wrong, prefix);
    assert_eq!(admitted(&counters, &[bucket("user", "u", 2, MINUTE)], 5).await, 2);
}

#[test]
fn an_address_that_is_none_is_refused_without_being_shown() {
    let config = Config {
        redis_url: Some(Secret::new("http://user:hunter2@host")),
        redis_key_prefix: String::new(),
        redis_timeout: Span(Duration::from_millis(50)),
    };
    let message = Redis::open(&config).err().unwrap().to_string();
    assert!(
        message.contains("REDIS_URL") && !message.contains("hunter2"),
        "{message}"
    );
}
