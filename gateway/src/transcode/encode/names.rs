//! Names and what they stand for.

/// A table of names.
#[derive(Debug, Default)]
pub(super) struct Names<T>(Box<[(Box<str>, T)]>);

impl<T: Copy> Names<T> {
    /// The names of `pairs`; of one that comes twice, the first.
    pub(super) fn of(pairs: impl IntoIterator<Item = (String, T)>) -> Self {
        let mut names: Vec<_> = pairs
            .into_iter()
            .map(|(name, value)| (name.into_boxed_str(), value))
            .collect();
        names.sort_by(|(one, _), (other, _)| order(one).cmp(&order(other)));
        names.dedup_by(|(later, _), (earlier, _)| later == earlier);
        Self(names.into())
    }

    pub(super) fn get(&self, name: &str) -> Option<T> {
        let found = self.0.binary_search_by(|(other, _)| order(other).cmp(&order(name)));
        found.ok().and_then(|index| self.0.get(index)).map(|(_, value)| *value)
    }
}

/// Few names have the same length, so that most are told apart without reading them.
fn order(name: &str) -> (usize, &str) {
    (name.len(), name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_two_values_of_a_name_counts() {
        let pairs = [("id", 1), ("title", 2), ("id", 3), ("di", 4)];
        let names = Names::of(pairs.map(|(name, value)| (name.to_owned(), value)));
        let found = ["id", "title", "di", "", "it"].map(|name| names.get(name));
        assert_eq!(found, [Some(1), Some(2), Some(4), None, None]);
    }
}
