//! The words of the demo data.

/// Tags of every demo user.
pub(super) const TAGS: &[&str] = &["home", "work", "garden", "errands", "reading", "дом"];

const PEOPLE: &[&str] = &[
    "Ada Lovelace",
    "Grace Hopper",
    "Alan Turing",
    "Barbara Liskov",
    "Edsger Dijkstra",
    "Radia Perlman",
    "Tony Hoare",
    "Sofia Kovalevskaya",
    "Donald Knuth",
    "Katherine Johnson",
    "Leslie Lamport",
    "Frances Allen",
];

const ACTS: &[&str] = &[
    "Call",
    "Write to",
    "Pay",
    "Visit",
    "Thank",
    "Remind",
    "Order from",
    "Answer",
    "Meet",
    "Ask",
    "Invite",
    "Send photos to",
];

const WHOM: &[&str] = &[
    "the plumber",
    "the landlord",
    "grandmother",
    "the bank",
    "the library",
    "the dentist",
    "the neighbours",
    "the travel agency",
    "the school",
    "the bakery",
    "the garage",
    "the insurance",
    "the choir",
    "the vet",
    "the tax office",
    "the new colleague",
    "Дарья",
];

const WHY: &[&str] = &[
    "about the leaking tap",
    "before the holidays",
    "about the invoice",
    "for Friday",
    "again",
    "about the party",
    "this week",
    "about next year",
    "when there is time",
    "about the photographs",
    "before noon",
    "насчёт дачи",
    "about the keys",
];

const NOTES: &[&str] = &[
    "The number is on the fridge.",
    "Bring the receipts.",
    "Not before ten in the morning.",
    "They answer faster by mail.",
    "Ask for the discount.",
    "Second floor, on the left.",
    "Don't forget the umbrella.",
];

/// A person's name, by number.
pub(super) fn person(number: u32) -> &'static str {
    pick(PEOPLE, number)
}

/// A todo's title, by number. The lengths of the three lists have no common divisor, so titles
/// repeat late.
pub(super) fn title(number: u32) -> String {
    format!("{} {} {}", pick(ACTS, number), pick(WHOM, number), pick(WHY, number))
}

/// A todo's description, by number.
pub(super) fn description(number: u32) -> &'static str {
    pick(NOTES, number)
}

fn pick(words: &'static [&'static str], number: u32) -> &'static str {
    words[number as usize % words.len()]
}
