//! The quotas that tiers have for methods.

use std::collections::HashMap;
use std::sync::Arc;

use crate::Quota;
use crate::pattern::{self, Pattern};

/// A tier's limit, as the users service keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Its id.
    pub id: String,
    /// Name of its tier.
    pub tier: String,
    /// Its name.
    pub name: String,
    /// The routes that it is for, as [`Pattern::parse`] reads them.
    pub path: String,
    /// How many calls may come.
    pub quota: Quota,
}

/// The limit of a tier for a method.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) id: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) quota: Quota,
}

/// The limits of all tiers, by tier and by the method's path in gRPC.
#[derive(Debug, Default)]
pub(crate) struct Rules(HashMap<String, HashMap<&'static str, Found>>);

impl Rules {
    pub(crate) fn new(mut rules: Vec<Rule>) -> Self {
        let patterned = |rule: &Rule| Pattern::parse(&rule.path).map(|pattern| pattern.specificity());
        // The most specific one comes last, and stays.
        rules.sort_by_cached_key(patterned);
        let mut by_tier: HashMap<String, HashMap<&'static str, Found>> = HashMap::new();
        for rule in rules {
            let Some(pattern) = Pattern::parse(&rule.path) else {
                continue;
            };
            let found = Found {
                id: rule.id.into(),
                name: shown(&rule.name),
                quota: rule.quota,
            };
            let methods = by_tier.entry(rule.tier).or_default();
            for route in pattern::routes().iter().filter(|route| pattern.matches(route)) {
                methods.insert(&route.method, found.clone());
            }
        }
        Self(by_tier)
    }

    pub(crate) fn find(&self, tier: &str, method: &str) -> Option<&Found> {
        self.0.get(tier)?.get(method)
    }
}

/// The name as a header can carry it: a string of structured fields (RFC 9651 §3.3.3) holds
/// printable ASCII.
fn shown(name: &str) -> Arc<str> {
    let plain: String = name
        .chars()
        .filter(|character| matches!(character, ' '..='~') && !matches!(character, '"' | '\\'))
        .collect();
    match plain.trim() {
        "" => "tier".into(),
        plain => plain.into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const GET: &str = "/quartet.todos.v1.TodoService/GetTodo";
    const UPDATE: &str = "/quartet.todos.v1.TodoService/UpdateTodo";
    const CREATE: &str = "/quartet.todos.v1.TodoService/CreateTodo";

    #[test]
    fn the_most_specific_rule_of_a_tier_counts() {
        let rule = |tier: &str, path: &str, calls| Rule {
            id: path.into(),
            tier: tier.into(),
            name: format!("«{path}»"),
            path: path.into(),
            quota: Quota::new(calls, Duration::from_secs(60)),
        };
        let rules = Rules::new(vec![
            rule("free", "PATCH /api/v1/todos/{id}", 1),
            rule("free", "/api/v1/todos/{id}", 2),
            rule("free", "/api/v1/todos*", 3),
            rule("pro", "/api/v1/*", 4),
        ]);
        let calls = |tier, method| rules.find(tier, method).map(|found| found.quota.calls());
        assert_eq!(
            [UPDATE, GET, CREATE].map(|method| calls("free", method)),
            [Some(1), Some(2), Some(3)]
        );
        assert_eq!(calls("pro", GET), Some(4));
        assert_eq!(calls("gold", GET), None);
        assert_eq!(&*rules.find("free", CREATE).unwrap().name, "/api/v1/todos*");
    }
}
