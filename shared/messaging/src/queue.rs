//! Where messages go, and who consumes them.

use std::time::Duration;

use crate::Priority;

/// A durable queue. Every process that declares one must describe it alike, since a broker refuses
/// to change a queue that is there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name, such as `users.events`.
    pub name: String,
    /// The kinds of events that go into it, such as `auth.account.registered.v1`; `*` stands for
    /// one word of a kind, `#` for any number of them. A work queue has none.
    pub bindings: Vec<String>,
    /// What happens to a message whose handler could not do it.
    pub retry: Retry,
    /// How often a message is delivered again after its consumer died with it, before it is a dead
    /// letter.
    pub delivery_limit: u32,
    /// Whether the messages of one subject take effect in the order they were published in. The
    /// queue then has one consuming process at a time, and a message that is retried holds back the
    /// later ones of its subject.
    pub ordered: bool,
}

/// What happens to a message whose handler could not do it: it comes back after a while, and ends
/// in the dead letters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Retry {
    /// How long each retry waits. Retries past the last step wait as long as that.
    pub steps: Vec<Duration>,
    /// How many retries there are; the failure after the last one makes a dead letter.
    pub limit: u32,
}

/// Consumes messages from a queue.
#[derive(Debug, Clone)]
pub struct Subscription {
    /// Who consumes them, such as `users`: shown by the broker.
    pub consumer: String,
    /// From where. It is declared if it is not there.
    pub queue: Queue,
    /// How many messages are in flight at once.
    pub prefetch: u16,
    /// How long a handler may take over one message; longer is a transient failure.
    pub timeout: Duration,
}

impl Queue {
    /// A queue of events.
    pub fn events(name: &str, bindings: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            name: name.to_owned(),
            bindings: bindings.into_iter().map(Into::into).collect(),
            retry: Retry::default(),
            delivery_limit: 20,
            ordered: false,
        }
    }

    /// The queue of all events that the service named `consumer` consumes, by the contracts; each
    /// subject's in order.
    pub fn of_service(consumer: &str) -> Self {
        Self::events(&format!("{consumer}.events"), quartet_proto::events::taken_by(consumer)).in_order()
    }

    /// The queue of every service that consumes events, for whoever publishes some.
    pub fn of_every_service() -> Vec<Self> {
        let consumers = quartet_proto::events::consumers();
        consumers.into_iter().map(Self::of_service).collect()
    }

    /// The queue of one priority of a work queue.
    pub fn work(name: &str, priority: Priority) -> Self {
        Self::events(&priority.queue(name), [] as [&str; 0])
    }

    /// With these retries.
    #[must_use]
    pub fn retried(self, retry: Retry) -> Self {
        Self { retry, ..self }
    }

    /// With the messages of each subject in order.
    #[must_use]
    pub fn in_order(self) -> Self {
        Self { ordered: true, ..self }
    }

    /// Whether an event of `kind` goes into it.
    pub fn accepts(&self, kind: &str) -> bool {
        self.bindings.iter().any(|pattern| matches(pattern, kind))
    }
}

impl Retry {
    /// How long retry number `retry`, counted from 1, waits; `None` when there is none.
    pub fn delay(&self, retry: u32) -> Option<Duration> {
        if retry == 0 || retry > self.limit {
            return None;
        }
        let step = usize::try_from(retry - 1).unwrap_or(usize::MAX);
        self.steps.get(step).or(self.steps.last()).copied()
    }
}

impl Default for Retry {
    /// Ten retries over some hours: a store or a service that is away for so long does not make
    /// dead letters.
    fn default() -> Self {
        Self {
            steps: [1, 5, 30, 120, 600, 1_800].map(Duration::from_secs).into(),
            limit: 10,
        }
    }
}

impl Subscription {
    /// `consumer` consumes `queue`, with ten messages in flight and half a minute for each.
    pub fn new(consumer: &str, queue: Queue) -> Self {
        Self {
            consumer: consumer.to_owned(),
            queue,
            prefetch: 10,
            timeout: Duration::from_secs(30),
        }
    }

    /// With this many messages in flight.
    #[must_use]
    pub fn prefetching(self, prefetch: u16) -> Self {
        Self { prefetch, ..self }
    }

    /// With this long for each message.
    #[must_use]
    pub fn within(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }
}

/// The rule of a topic exchange (RabbitMQ's, after AMQP 0-9-1 §3.1.3.3): `*` is one word, `#` any
/// number of words, none included.
pub(crate) fn matches(pattern: &str, kind: &str) -> bool {
    fn walk(pattern: &[&str], words: &[&str]) -> bool {
        match (pattern.split_first(), words.split_first()) {
            (None, None) => true,
            (Some((&"#", rest)), _) => (0..=words.len()).any(|skipped| walk(rest, &words[skipped..])),
            (Some((&"*", rest)), Some((_, words))) => walk(rest, words),
            (Some((part, rest)), Some((word, words))) => part == word && walk(rest, words),
            (None, Some(_)) | (Some(_), None) => false,
        }
    }
    let split = |text| str::split(text, '.').collect::<Vec<_>>();
    walk(&split(pattern), &split(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_is_one_word_and_a_hash_any_number() {
        for (pattern, kind, expected) in [
            ("a.b.v1", "a.b.v1", true),
            ("a.b.v1", "a.b.v2", false),
            ("a.*.v1", "a.b.v1", true),
            ("a.*.v1", "a.b.c.v1", false),
            ("a.#", "a", true),
            ("a.#", "a.b.c", true),
            ("#", "a.b", true),
            ("#.v1", "a.b.v1", true),
            ("#.v1", "a.b.v2", false),
            ("*", "a.b", false),
        ] {
            assert_eq!(matches(pattern, kind), expected, "{pattern} over {kind}");
        }
    }

    #[test]
    fn retries_past_the_last_step_wait_as_long_as_it_and_end() {
        let retry = Retry {
            steps: vec![Duration::from_secs(1), Duration::from_secs(5)],
            limit: 3,
        };
        let delays: Vec<_> = (0..=4)
            .map(|number| retry.delay(number).map(|delay| delay.as_secs()))
            .collect();
        assert_eq!(delays, [None, Some(1), Some(5), Some(5), None]);
    }
}
