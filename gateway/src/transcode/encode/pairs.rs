//! Queries and forms: pairs of a dotted field name and a value.

use prost::encoding::{WireType, encode_key};

use super::plan::{Field, Form, Plan, Shape, Target, Type};
use super::{Named, Plain, Unclear, put};
use crate::routes::percent;
use crate::transcode::query::{Excluded, MAX_CHAIN, MAX_PAIRS};

impl Plan {
    /// Appends the pairs of `raw`; `named` gets the fields that they name.
    pub(crate) fn pairs(
        &self,
        raw: &str,
        target: Target,
        excluded: &Excluded,
        named: Option<&mut Named>,
        out: &mut Vec<u8>,
    ) -> Plain<()> {
        let mut pairs = Pairs {
            plan: self,
            root: self.root,
            excluded,
            named,
            given: Vec::new(),
        };
        match target {
            Target::Whole => pairs.all(raw, out),
            Target::Inside(index) => {
                let field = &self.messages[self.root].fields[index];
                let Type::Message(inner) = field.of else {
                    return Err(Unclear);
                };
                pairs.root = inner;
                encode_key(field.number, WireType::LengthDelimited, out);
                put::delimited(out, |out| pairs.all(raw, out))
            }
            Target::Field(_) => Err(Unclear),
        }
    }
}

struct Pairs<'p, 'a> {
    plan: &'p Plan,
    /// The message that the names begin at.
    root: usize,
    excluded: &'a Excluded,
    named: Option<&'a mut Named>,
    /// The fields that were given a value.
    given: Vec<Vec<usize>>,
}

impl<'p> Pairs<'p, '_> {
    fn all(&mut self, raw: &str, out: &mut Vec<u8>) -> Plain<()> {
        for (count, pair) in raw.split('&').filter(|pair| !pair.is_empty()).enumerate() {
            if count == MAX_PAIRS {
                return Err(Unclear);
            }
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = percent::decode_form(name).ok_or(Unclear)?;
            let value = percent::decode_form(value).ok_or(Unclear)?;
            let chain = self.resolve(&name)?;
            let is_again = self.admit(&chain)?;
            self.plan.text_in(self.root, &chain, &value, out)?;
            if !is_again {
                self.add(&chain);
                self.given.push(chain);
            }
        }
        Ok(())
    }

    /// The fields that a dotted name leads through.
    fn resolve(&self, name: &str) -> Plain<Vec<usize>> {
        if self.excluded.all {
            return Err(Unclear);
        }
        let mut at = Some(self.root);
        let mut chain = Vec::new();
        let mut numbers = Vec::new();
        for name in name.split('.') {
            let message = &self.plan.messages[at.ok_or(Unclear)?];
            let index = message.find(name, 0).ok_or(Unclear)?;
            let field = &message.fields[index];
            if chain.len() == MAX_CHAIN || field.shape == Shape::Map {
                return Err(Unclear);
            }
            at = match field.of {
                Type::Message(inner) if field.shape == Shape::Single => {
                    Some(inner).filter(|inner| self.plan.messages[*inner].form == Form::Object)
                }
                _ => None,
            };
            chain.push(index);
            numbers.push(field.number);
        }
        let is_bound = self.excluded.chains.iter().any(|bound| numbers.starts_with(bound));
        if is_bound { Err(Unclear) } else { Ok(chain) }
    }

    /// Checks that a chain goes together with those before it; returns whether it is one of them, as
    /// only a list may be.
    fn admit(&self, chain: &[usize]) -> Plain<bool> {
        let mut is_again = false;
        for given in &self.given {
            let common = given.iter().zip(chain).take_while(|(given, own)| given == own).count();
            let Some(index) = chain.get(common) else {
                is_again = true;
                continue;
            };
            let is_rival = |field: &Field, other: &usize| field.rivals.contains(other);
            let field = self.fields(chain).nth(common).ok_or(Unclear)?;
            debug_assert!(!field.rivals.contains(index));
            if given.get(common).is_some_and(|other| is_rival(field, other)) {
                return Err(Unclear);
            }
        }
        let is_list = self
            .fields(chain)
            .last()
            .is_some_and(|field| field.shape != Shape::Single);
        if is_again && !is_list {
            Err(Unclear)
        } else {
            Ok(is_again)
        }
    }

    fn fields<'c>(&self, chain: &'c [usize]) -> impl Iterator<Item = &'p Field> + use<'p, 'c> {
        let messages = &self.plan.messages;
        let mut at = Some(self.root);
        chain.iter().map_while(move |index| {
            let field = &messages[at?].fields[*index];
            at = match field.of {
                Type::Message(inner) => Some(inner),
                _ => None,
            };
            Some(field)
        })
    }

    fn add(&mut self, chain: &[usize]) {
        let fields: Vec<_> = self.fields(chain).collect();
        if let Some(named) = &mut self.named {
            for field in fields {
                named.enter(&field.name);
            }
            named.add();
            named.leave(0);
        }
    }
}
