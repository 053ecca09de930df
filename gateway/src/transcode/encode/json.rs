//! Bodies of JSON.

use std::borrow::Cow;
use std::collections::HashSet;

use prost::encoding::{WireType, encode_key, encode_varint};
use prost_reflect::Kind;

use super::plan::{Field, Form, Plan, Shape, Target, Type, Values};
use super::{Named, Plain, Unclear, put, text};
use crate::transcode::json::lexer::{Lexer, Token};
use crate::transcode::{MAX_MESSAGES, text as scalars};

impl Plan {
    /// Appends the body `text`; `named` gets the fields that it names.
    pub(crate) fn json(&self, text: &[u8], target: Target, named: Option<&mut Named>, out: &mut Vec<u8>) -> Plain<()> {
        let mut body = Body {
            plan: self,
            lexer: Lexer::new(std::str::from_utf8(text).map_err(|_| Unclear)?),
            out,
            given: Vec::with_capacity(32),
            messages: 0,
            named,
        };
        let root = &self.messages[self.root];
        match target {
            Target::Whole => body.message(self.root)?,
            Target::Inside(index) => {
                let field = &root.fields[index];
                let Type::Message(inner) = field.of else {
                    return Err(Unclear);
                };
                encode_key(field.number, WireType::LengthDelimited, body.out);
                body.nested(|body| body.object(inner))?;
            }
            Target::Field(index) => {
                body.named = None;
                body.field(&root.fields[index])?;
            }
        }
        Ok(body.lexer.end()?)
    }

    /// Appends what no body at all is: an empty one.
    pub(crate) fn nothing(&self, target: Target, out: &mut Vec<u8>) {
        let (Target::Inside(index) | Target::Field(index)) = target else {
            return;
        };
        let field = &self.messages[self.root].fields[index];
        if field.shape == Shape::Single && matches!(field.of, Type::Message(_)) {
            encode_key(field.number, WireType::LengthDelimited, out);
            out.push(0);
        }
    }
}

/// A body that is being read.
struct Body<'p, 't, 'o> {
    plan: &'p Plan,
    lexer: Lexer<'t>,
    out: &'o mut Vec<u8>,
    /// Which fields of the messages that are being read were given, the innermost message's last.
    given: Vec<Given>,
    /// Messages around the current value.
    messages: usize,
    /// Set while the current keys belong in an update mask.
    named: Option<&'o mut Named>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Given {
    No,
    /// It stays unset.
    Null,
    Value,
}

impl<'p, 't> Body<'p, 't, '_> {
    /// Appends the fields of the message at `index`.
    fn message(&mut self, index: usize) -> Plain<()> {
        let message = &self.plan.messages[index];
        match (message.form, &*message.fields) {
            (Form::Object, _) => self.object(index),
            (Form::Empty, _) => {
                self.expect(Token::Object)?;
                match self.lexer.key(true)? {
                    None => Ok(()),
                    Some(_) => Err(Unclear),
                }
            }
            (Form::Wrapper, [field]) => self.single(field),
            (Form::Struct, _) => self.structure(),
            (Form::List, _) => self.list_value(),
            (Form::Value, _) => self.anything(),
            (form, _) => {
                let text = self.string()?;
                text::known(form, &text, self.out)
            }
        }
    }

    fn object(&mut self, index: usize) -> Plain<()> {
        self.expect(Token::Object)?;
        let message = &self.plan.messages[index];
        let base = self.given.len();
        self.given.resize(base + message.fields.len(), Given::No);
        let mut next = 0;
        let mut is_first = true;
        while let Some(key) = self.lexer.key(is_first)? {
            is_first = false;
            let position = message.find(&key, next).ok_or(Unclear)?;
            next = position + 1;
            let field = &message.fields[position];
            if self.given[base + position] != Given::No {
                return Err(Unclear);
            }
            let given = self.member(field)?;
            self.given[base + position] = given;
            let is_set = |rival: &usize| self.given[base + rival] == Given::Value;
            if given == Given::Value && field.rivals.iter().any(is_set) {
                return Err(Unclear);
            }
        }
        self.given.truncate(base);
        Ok(())
    }

    /// A field of an object; its path goes into the update mask unless the paths of fields inside it
    /// do.
    fn member(&mut self, field: &'p Field) -> Plain<Given> {
        let Some(named) = self.named.take() else {
            return self.field(field);
        };
        let mark = named.enter(&field.name);
        let before = named.len();
        let is_plain = match field.of {
            Type::Message(index) => self.plan.messages[index].form == Form::Object,
            _ => false,
        };
        let is_open = is_plain && field.shape == Shape::Single && self.lexer.peek()? == Token::Object;
        if !is_open {
            named.add();
            let given = self.field(field)?;
            named.leave(mark);
            self.named = Some(named);
            return Ok(given);
        }
        self.named = Some(named);
        let given = self.field(field)?;
        if let Some(named) = &mut self.named {
            // An empty object names no field inside; the path is the message's own.
            if named.len() == before {
                named.add();
            }
            named.leave(mark);
        }
        Ok(given)
    }

    /// Appends a field with its key.
    fn field(&mut self, field: &'p Field) -> Plain<Given> {
        let is_null = self.lexer.peek()? == Token::Null;
        if is_null && (field.shape != Shape::Single || !self.takes_null(&field.of)) {
            self.lexer.word("null")?;
            return Ok(Given::Null);
        }
        match field.shape {
            Shape::Single => self.single(field)?,
            Shape::Map => self.map(field)?,
            Shape::List => {
                let mut count = 0;
                self.elements(|body| {
                    let start = body.out.len();
                    encode_key(field.number, field.of.wire_type(), body.out);
                    body.value(&field.of)?;
                    count += 1;
                    if field.most.is_some_and(|most| count > most) {
                        body.out.truncate(start);
                    }
                    Ok(())
                })?;
            }
            Shape::Packed => {
                let start = self.out.len();
                encode_key(field.number, WireType::LengthDelimited, self.out);
                let length = put::open(self.out);
                self.elements(|body| body.value(&field.of))?;
                if self.out.len() == length + 1 {
                    self.out.truncate(start);
                } else {
                    put::close(self.out, length);
                }
            }
        }
        Ok(Given::Value)
    }

    /// Whether `null` is a value of `of`; of any other type it leaves a field unset.
    fn takes_null(&self, of: &Type) -> bool {
        match of {
            Type::Message(index) => self.plan.messages[*index].form == Form::Value,
            Type::Enum(values) => values.is_null,
            Type::Scalar(_) => false,
        }
    }

    fn single(&mut self, field: &'p Field) -> Plain<()> {
        let start = self.out.len();
        encode_key(field.number, field.of.wire_type(), self.out);
        let value = self.out.len();
        self.value(&field.of)?;
        // Of every type, the default is zeros alone, and nothing else is.
        if !field.has_presence && self.out[value..].iter().all(|byte| *byte == 0) {
            self.out.truncate(start);
        }
        Ok(())
    }

    /// The elements of an array, each appended by `append`.
    fn elements(&mut self, mut append: impl FnMut(&mut Self) -> Plain<()>) -> Plain<()> {
        self.expect(Token::Array)?;
        let mut is_first = true;
        while self.lexer.element(is_first)? {
            is_first = false;
            append(self)?;
        }
        Ok(())
    }

    fn map(&mut self, field: &'p Field) -> Plain<()> {
        let Type::Message(entry) = field.of else {
            return Err(Unclear);
        };
        let [key_field, value_field] = &*self.plan.messages[entry].fields else {
            return Err(Unclear);
        };
        self.expect(Token::Object)?;
        let mut keys = HashSet::new();
        let mut is_first = true;
        while let Some(key) = self.lexer.key(is_first)? {
            is_first = false;
            encode_key(field.number, WireType::LengthDelimited, self.out);
            self.nested(|body| {
                encode_key(1, key_field.of.wire_type(), body.out);
                let start = body.out.len();
                body.plan.text_value(&key_field.of, &key, body.out)?;
                if !keys.insert(body.out[start..].to_vec()) {
                    return Err(Unclear);
                }
                encode_key(2, value_field.of.wire_type(), body.out);
                body.value(&value_field.of)
            })?;
        }
        Ok(())
    }

    /// Appends one value without its key.
    fn value(&mut self, of: &'p Type) -> Plain<()> {
        let token = self.lexer.peek()?;
        match of {
            Type::Message(index) => return self.nested(|body| body.message(*index)),
            Type::Enum(values) => {
                let number = self.enum_number(values, token)?;
                encode_varint(number as u64, self.out);
            }
            Type::Scalar(Kind::Bool) => match token {
                Token::True => {
                    self.lexer.word("true")?;
                    self.out.push(1);
                }
                Token::False => {
                    self.lexer.word("false")?;
                    self.out.push(0);
                }
                _ => return Err(Unclear),
            },
            Type::Scalar(kind) => match token {
                Token::String => {
                    let text = self.lexer.string()?;
                    text::scalar(kind, &text, self.out)?;
                }
                Token::Number if !matches!(kind, Kind::String | Kind::Bytes) => {
                    text::scalar(kind, self.lexer.number()?, self.out)?;
                }
                _ => return Err(Unclear),
            },
        }
        Ok(())
    }

    fn enum_number(&mut self, values: &Values, token: Token) -> Plain<i32> {
        match token {
            Token::String => values.number(&self.lexer.string()?),
            Token::Number => Ok(scalars::integer(self.lexer.number()?)?),
            Token::Null if values.is_null => {
                self.lexer.word("null")?;
                Ok(0)
            }
            _ => Err(Unclear),
        }
    }

    /// Appends what is in one more message, with its length before it.
    fn nested(&mut self, append: impl FnOnce(&mut Self) -> Plain<()>) -> Plain<()> {
        if self.messages == MAX_MESSAGES {
            return Err(Unclear);
        }
        self.messages += 1;
        let start = put::open(self.out);
        append(self)?;
        put::close(self.out, start);
        self.messages -= 1;
        Ok(())
    }

    /// The fields of a `google.protobuf.Struct`.
    fn structure(&mut self) -> Plain<()> {
        self.expect(Token::Object)?;
        let mut keys = HashSet::new();
        let mut is_first = true;
        while let Some(key) = self.lexer.key(is_first)? {
            is_first = false;
            encode_key(1, WireType::LengthDelimited, self.out);
            self.nested(|body| {
                put::string(1, &key, body.out);
                encode_key(2, WireType::LengthDelimited, body.out);
                body.nested(Self::anything)
            })?;
            if !keys.insert(key) {
                return Err(Unclear);
            }
        }
        Ok(())
    }

    /// The values of a `google.protobuf.ListValue`.
    fn list_value(&mut self) -> Plain<()> {
        self.elements(|body| {
            encode_key(1, WireType::LengthDelimited, body.out);
            body.nested(Self::anything)
        })
    }

    /// The field of a `google.protobuf.Value` that is set.
    fn anything(&mut self) -> Plain<()> {
        match self.lexer.peek()? {
            Token::Null => {
                self.lexer.word("null")?;
                encode_key(1, WireType::Varint, self.out);
                self.out.push(0);
            }
            Token::Number => {
                let number = scalars::double(self.lexer.number()?)?;
                encode_key(2, WireType::SixtyFourBit, self.out);
                self.out.extend_from_slice(&number.to_le_bytes());
            }
            Token::String => {
                let text = self.lexer.string()?;
                put::string(3, &text, self.out);
            }
            token @ (Token::True | Token::False) => {
                let is_true = token == Token::True;
                self.lexer.word(if is_true { "true" } else { "false" })?;
                encode_key(4, WireType::Varint, self.out);
                self.out.push(is_true.into());
            }
            Token::Object => {
                encode_key(5, WireType::LengthDelimited, self.out);
                self.nested(Self::structure)?;
            }
            Token::Array => {
                encode_key(6, WireType::LengthDelimited, self.out);
                self.nested(Self::list_value)?;
            }
        }
        Ok(())
    }

    fn string(&mut self) -> Plain<Cow<'t, str>> {
        match self.lexer.peek()? {
            Token::String => Ok(self.lexer.string()?),
            _ => Err(Unclear),
        }
    }

    /// Consumes the beginning of an object or an array.
    fn expect(&mut self, token: Token) -> Plain<()> {
        if self.lexer.peek()? != token {
            return Err(Unclear);
        }
        Ok(self.lexer.open()?)
    }
}
