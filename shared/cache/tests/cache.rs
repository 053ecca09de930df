//! What the cache promises, wherever it keeps things; and what becomes of it when Redis is away.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic")]

use std::time::{Duration, Instant};

use bytes::Bytes;
use quartet_cache::{Cache, Lookup, Ticket};
use quartet_config::Secret;
use quartet_config::value::Span;
use quartet_redis::{Config, Redis};
use quartet_testkit::redis as server;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

const TTL: Duration = Duration::from_secs(60);

fn redis(url: String, prefix: String) -> Cache {
    let config = Config {
        redis_url: Some(Secret::new(url)),
        redis_key_prefix: prefix,
        redis_timeout: Span(Duration::from_millis(50)),
    };
    Cache::shared(Redis::open(&config).unwrap().unwrap())
}

async fn in_redis() -> Cache {
    let (url, prefix) = server::keys().expect("TEST_REDIS_URL is not set; `make test` starts a server and sets it");
    ready(redis(url, prefix)).await
}

/// The cache, once it is used.
async fn ready(cache: Cache) -> Cache {
    let begun = Instant::now();
    while cache.find("ready".into(), &[]).await == Lookup::Off {
        assert!(begun.elapsed() < Duration::from_secs(20), "the cache is not used");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    cache
}

macro_rules! everywhere {
    ($($name:ident),* $(,)?) => {
        mod here {
            $(#[tokio::test(flavor = "multi_thread")] async fn $name() {
                super::$name(super::Cache::local(1 << 20)).await;
            })*
        }
        mod in_redis {
            $(#[tokio::test(flavor = "multi_thread")] #[ignore = "needs Redis: make test"] async fn $name() {
                super::$name(super::in_redis().await).await;
            })*
        }
    };
}

everywhere! {
    an_entry_is_found_until_one_of_its_tags_is_invalidated,
    a_reply_that_was_made_before_a_write_is_not_found_after_it,
    an_entry_is_gone_after_its_time,
    an_entry_may_have_no_tag_and_any_bytes,
}

fn tags(tags: &[&str]) -> Vec<String> {
    tags.iter().map(|tag| (*tag).to_owned()).collect()
}

async fn miss(cache: &Cache, key: &str, of: &[String]) -> Ticket {
    match cache.find(key.to_owned(), of).await {
        Lookup::Miss(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

/// Keeps an entry and waits until it is found: nobody waits for it to be kept.
async fn kept(cache: &Cache, key: &str, of: &[String], entry: &'static [u8]) {
    let ticket = miss(cache, key, of).await;
    cache.keep(ticket, Bytes::from_static(entry), TTL);
    let begun = Instant::now();
    while cache.find(key.to_owned(), of).await != Lookup::Hit(Bytes::from_static(entry)) {
        assert!(begun.elapsed() < Duration::from_secs(10), "the entry is not kept");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

async fn an_entry_is_found_until_one_of_its_tags_is_invalidated(cache: Cache) {
    let both = tags(&["todos/a", "tiers"]);
    kept(&cache, "one", &both, b"1").await;
    kept(&cache, "two", &both[..1], b"2").await;
    kept(&cache, "other", &tags(&["todos/b"]), b"3").await;
    cache.invalidate(&both[1..]).await;
    miss(&cache, "one", &both).await;
    assert_eq!(
        cache.find("two".into(), &both[..1]).await,
        Lookup::Hit(Bytes::from_static(b"2"))
    );
    cache.invalidate(&both[..1]).await;
    miss(&cache, "two", &both[..1]).await;
    assert_eq!(
        cache.find("other".into(), &tags(&["todos/b"])).await,
        Lookup::Hit(Bytes::from_static(b"3"))
    );
    kept(&cache, "one", &both, b"4").await;
}

async fn a_reply_that_was_made_before_a_write_is_not_found_after_it(cache: Cache) {
    let of = tags(&["todos/a"]);
    let ticket = miss(&cache, "list", &of).await;
    cache.invalidate(&of).await;
    cache.keep(ticket, Bytes::from_static(b"from before"), TTL);
    tokio::time::sleep(Duration::from_millis(100)).await;
    miss(&cache, "list", &of).await;
}

async fn an_entry_is_gone_after_its_time(cache: Cache) {
    let ticket = miss(&cache, "short", &[]).await;
    cache.keep(ticket, Bytes::from_static(b"1"), Duration::from_millis(100));
    tokio::time::sleep(Duration::from_millis(250)).await;
    miss(&cache, "short", &[]).await;
}

async fn an_entry_may_have_no_tag_and_any_bytes(cache: Cache) {
    kept(&cache, "none", &[], &[0, 255, 10, 13, 0]).await;
    kept(&cache, "empty", &[], b"").await;
}

#[tokio::test]
async fn without_a_cache_nothing_is_found() {
    let cache = Cache::none();
    assert_eq!(cache.find("key".into(), &[]).await, Lookup::Off);
    cache.invalidate(&tags(&["a"])).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: make test"]
async fn what_was_written_while_redis_was_frozen_is_not_found_stale_by_anybody() {
    let server = server::Server::start();
    let (writer, reader) = (
        ready(redis(server.url(), "x:".into())).await,
        ready(redis(server.url(), "x:".into())).await,
    );
    let of = tags(&["todos/a"]);
    kept(&writer, "list", &of, b"old").await;
    server.freeze();
    // Writes wait in the first second, and then no more.
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(!writer.invalidate(&of).await);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    tokio::time::sleep(Duration::from_millis(300)).await;
    server.thaw();
    let begun = Instant::now();
    loop {
        match reader.find("list".into(), &of).await {
            Lookup::Off => {}
            Lookup::Miss(_) => break,
            Lookup::Hit(_) => panic!("an entry from before the write"),
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "Redis is not used again");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Passes on to Redis what one process says, except while it is told to hold.
async fn held_up(server: &server::Server) -> (String, watch::Sender<bool>) {
    let url = server.url();
    let to = url["redis://".len()..].trim_end_matches("/0").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let through = format!("redis://{}/0", listener.local_addr().unwrap());
    let (hold, held) = watch::channel(false);
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (mut held, server) = (held.clone(), TcpStream::connect(&to).await.unwrap());
            let ((mut says, mut hears), (mut answers, mut asks)) = (client.into_split(), server.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut answers, &mut hears).await });
            tokio::spawn(async move {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = says.read(&mut buffer).await {
                    held.wait_for(|held| !held).await.unwrap();
                    asks.write_all(&buffer[..length]).await.unwrap();
                }
            });
        }
    });
    (through, hold)
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: make test"]
async fn a_write_of_a_process_that_alone_waits_for_redis_is_not_found_stale() {
    let server = server::Server::start();
    let (through, hold) = held_up(&server).await;
    let (writer, reader) = (
        ready(redis(through, "x:".into())).await,
        ready(redis(server.url(), "x:".into())).await,
    );
    let of = tags(&["todos/a"]);
    kept(&reader, "list", &of, b"old").await;
    // Long enough for the writer to take Redis for away.
    hold.send_replace(true);
    tokio::time::sleep(Duration::from_millis(250)).await;
    let released = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(50)).await;
        hold.send_replace(false);
        hold
    });
    assert!(writer.invalidate(&of).await);
    miss(&reader, "list", &of).await;
    released.await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: make test"]
async fn nothing_is_found_in_a_redis_that_takes_no_writes() {
    let server = server::Server::start();
    let (writer, reader) = (
        ready(redis(server.url(), "x:".into())).await,
        ready(redis(server.url(), "x:".into())).await,
    );
    let of = tags(&["todos/a"]);
    kept(&reader, "list", &of, b"old").await;
    // It is full, and evicts nothing.
    let client = ::redis::Client::open(server.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let mut limit = ::redis::cmd("CONFIG");
    limit.arg("SET").arg("maxmemory").arg("1");
    let () = limit.query_async(&mut connection).await.unwrap();
    assert!(!writer.invalidate(&of).await);
    assert_eq!(reader.find("list".into(), &of).await, Lookup::Off);
    // It has been away for long enough that nobody waits for it.
    let begun = Instant::now();
    for _ in 0..20 {
        assert!(!writer.invalidate(&of).await);
    }
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Redis: make test"]
async fn a_redis_that_has_died_is_used_again_once_it_is_back() {
    let mut server = server::Server::start();
    let cache = ready(redis(server.url(), "x:".into())).await;
    kept(&cache, "key", &[], b"1").await;
    server.kill();
    let begun = Instant::now();
    while cache.find("key".into(), &[]).await != Lookup::Off {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    server.restart();
    let cache = ready(cache).await;
    kept(&cache, "key", &[], b"2").await;
}
