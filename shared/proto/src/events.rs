//! What travels between services: the messages that declare themselves events, with their kinds.

/// A message about something that happened.
pub trait Event: prost::Message + Default {
    /// Its kind, such as `auth.account.registered.v1`; the version is that of the message.
    const KIND: &'static str;

    /// The tags of cached replies that it makes outdated.
    fn tags(&self) -> Vec<String>;
}

/// The tags of cached replies that an event of this kind makes outdated; none where it is not one
/// of ours.
pub fn tags(kind: &str, payload: &[u8]) -> Vec<String> {
    decoded_tags(kind, payload).unwrap_or_default()
}

/// The kinds of events that the service named `consumer` takes.
pub fn taken_by(consumer: &str) -> Vec<&'static str> {
    let taken = KINDS.iter().filter(|(_, consumers)| consumers.contains(&consumer));
    taken.map(|(kind, _)| *kind).collect()
}

/// Every service that takes events.
pub fn consumers() -> Vec<&'static str> {
    let mut consumers: Vec<_> = KINDS
        .iter()
        .flat_map(|(_, consumers)| consumers.iter().copied())
        .collect();
    consumers.sort_unstable();
    consumers.dedup();
    consumers
}

include!(concat!(env!("OUT_DIR"), "/events.rs"));

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::descriptors::pool;

    #[test]
    fn every_message_of_a_file_of_events_is_one_with_a_kind_of_its_own() {
        let files = pool().files().filter(|file| file.name().ends_with("/events.proto"));
        let messages: usize = files.map(|file| file.messages().count()).sum();
        let kinds: BTreeSet<_> = KINDS.iter().map(|(kind, _)| kind).collect();
        assert_eq!((messages, KINDS.len()), (kinds.len(), kinds.len()));
        assert!(messages >= 13, "{messages}");
    }

    #[test]
    fn a_message_knows_its_kind() {
        assert_eq!(crate::users::v1::UserDeleted::KIND, "users.user.deleted.v1");
        assert!(taken_by("todos").contains(&"users.user.deleted.v1"));
    }
}
