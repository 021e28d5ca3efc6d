//! Serde over the positioned tree.
//!
//! The types that describe a manifest accept unknown fields, since an operator must read what a newer one wrote; the reader here
//! does not, since a person's slip must not be dropped. That is why strictness lives in the reader: an unknown field is noted,
//! with the nearest right name, and reading goes on. A wrong type ends the reading of that document. As in the API server, a
//! field that is null is a field that is not given.

use std::cell::RefCell;
use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{DeserializeSeed, Deserializer, EnumAccess, MapAccess, SeqAccess, VariantAccess, Visitor};

use super::scalar::Scalar;
use super::tree::{Key, Node, Value};
use crate::near;
use crate::problem::{Problem, Why};

/// State that the readers of one document share.
pub(crate) struct Notes {
    /// Unknown fields so far.
    pub(crate) problems: RefCell<Vec<Problem>>,
}

/// A refusal on its way out; it gets its place from the innermost reader that knows one.
#[derive(Debug)]
pub(crate) struct Wrong {
    why: Why,
    placed: Option<Box<Problem>>,
}

impl Wrong {
    fn new(why: Why) -> Self {
        Self { why, placed: None }
    }

    /// The problem; `fallback` where nobody placed it.
    pub(crate) fn into_problem(self, fallback: &Node) -> Problem {
        self.placed.map_or_else(|| self.why.at(fallback.at, ""), |p| *p)
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.why.fmt(f)
    }
}

impl std::error::Error for Wrong {}

impl serde::de::Error for Wrong {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(Why::new(message.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Why::new(format!("the field `{field}` is missing")).advise(format!("add `{field}: …` here")))
    }

    fn unknown_variant(variant: &str, expected: &'static [&'static str]) -> Self {
        let why = Why::new(format!("`{variant}` is not one of {}", expected.join(", ")));
        Self::new(match near::nearest(variant, expected.iter().copied()) {
            Some(name) => why.advise(format!("did you mean `{name}`?")),
            None => why,
        })
    }
}

/// The way from the root to a node.
#[derive(Clone, Copy)]
enum Path<'a> {
    Root,
    Field(&'a Self, &'a str),
    Item(&'a Self, usize),
}

impl fmt::Display for Path<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Path::Root => Ok(()),
            Path::Field(Path::Root, name) => f.write_str(name),
            Path::Field(parent, name) => write!(f, "{parent}.{name}"),
            Path::Item(parent, index) => write!(f, "{parent}[{index}]"),
        }
    }
}

/// Reads a document into a type.
pub(crate) fn read<'a, T: serde::Deserialize<'a>>(node: &'a Node, notes: &'a Notes) -> Result<T, Wrong> {
    T::deserialize(Reader { node, path: &Path::Root, notes })
}

#[derive(Clone, Copy)]
struct Reader<'a, 'p> {
    node: &'a Node,
    path: &'p Path<'p>,
    notes: &'p Notes,
}

impl<'a> Reader<'a, '_> {
    /// Gives a refusal this reader's place if it has none.
    fn place<T>(&self, result: Result<T, Wrong>) -> Result<T, Wrong> {
        result.map_err(|mut wrong| {
            if wrong.placed.is_none() {
                wrong.placed = Some(Box::new(wrong.why.clone().at(self.node.at, self.path.to_string())));
            }
            wrong
        })
    }

    fn expected<T>(&self, what: &str) -> Result<T, Wrong> {
        let (found, advice) = match &self.node.value {
            Value::List(_) => ("a list".to_owned(), None),
            Value::Map(_) => ("fields".to_owned(), None),
            Value::Scalar { is: Scalar::Null, .. } => {
                ("nothing".to_owned(), Some("give a value, or leave the field out".to_owned()))
            }
            Value::Scalar { text, is, .. } => {
                let shown: String = text.chars().take(40).collect();
                let (kind, advice) = match is {
                    Scalar::Bool(b) => {
                        (format!("`{shown}`, which YAML reads as {b}"), Some(format!("write \"{shown}\" in quotes")))
                    }
                    Scalar::Int(_) | Scalar::Float(_) => {
                        (format!("the number `{shown}`"), Some(format!("write \"{shown}\" in quotes")))
                    }
                    Scalar::Text | Scalar::Null => (format!("the text `{shown}`"), None),
                };
                (kind, advice.filter(|_| what == "text"))
            }
        };
        let why = Why::new(format!("expected {what}, found {found}"));
        self.place(Err(Wrong::new(match advice {
            Some(advice) => why.advise(advice),
            None => why,
        })))
    }

    fn scalar(&self) -> Option<(&'a str, &'a Scalar)> {
        match &self.node.value {
            Value::Scalar { text, is, .. } => Some((text, is)),
            Value::List(_) | Value::Map(_) => None,
        }
    }

    fn integer<V: Visitor<'a>>(self, least: i64, most: i64, visitor: V) -> Result<V::Value, Wrong> {
        match self.scalar() {
            Some((_, Scalar::Int(n))) if (least..=most).contains(n) => self.place(visitor.visit_i64(*n)),
            Some((text, Scalar::Int(_))) => {
                self.place(Err(Wrong::new(Why::new(format!("{text} is out of range: {least} to {most}")))))
            }
            Some((text, Scalar::Float(n))) if n.fract() == 0.0 && n.abs() >= 9e18 => {
                self.place(Err(Wrong::new(Why::new(format!("{text} is out of range: {least} to {most}")))))
            }
            Some(_) | None => self.expected("a whole number"),
        }
    }
}

macro_rules! integers {
    ($($method:ident: $type:ty),*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
            self.integer(i64::try_from(<$type>::MIN).unwrap_or(i64::MIN), i64::try_from(<$type>::MAX).unwrap_or(i64::MAX), visitor)
        }
    )*};
}

impl<'de> Deserializer<'de> for Reader<'de, '_> {
    type Error = Wrong;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Scalar { text, is, .. } => self.place(match is {
                Scalar::Null => visitor.visit_unit(),
                Scalar::Bool(b) => visitor.visit_bool(*b),
                Scalar::Int(n) => visitor.visit_i64(*n),
                Scalar::Float(n) => visitor.visit_f64(*n),
                Scalar::Text => visitor.visit_borrowed_str(text),
            }),
            Value::List(_) => self.deserialize_seq(visitor),
            Value::Map(_) => self.deserialize_map(visitor),
        }
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.scalar() {
            Some((_, Scalar::Bool(b))) => self.place(visitor.visit_bool(*b)),
            Some(_) | None => self.expected("true or false"),
        }
    }

    integers!(deserialize_i8: i8, deserialize_i16: i16, deserialize_i32: i32, deserialize_i64: i64);
    integers!(deserialize_u8: u8, deserialize_u16: u16, deserialize_u32: u32, deserialize_u64: u64);

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.scalar() {
            Some((_, Scalar::Float(n))) => self.place(visitor.visit_f64(*n)),
            Some((_, Scalar::Int(n))) => self.place(visitor.visit_i64(*n)),
            Some(_) | None => self.expected("a number"),
        }
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_f64(visitor)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match self.scalar() {
            Some((text, Scalar::Text)) => self.place(visitor.visit_borrowed_str(text)),
            Some(_) | None => self.expected("text"),
        }
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        if self.node.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Wrong> {
        self.place(visitor.visit_newtype_struct(self))
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::List(items) => {
                self.place(visitor.visit_seq(Items { items: items.iter().enumerate(), path: self.path, notes: self.notes }))
            }
            Value::Scalar { .. } | Value::Map(_) => self.expected("a list"),
        }
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Map(entries) => self.place(visitor.visit_map(Fields::new(&self, entries, None))),
            Value::Scalar { .. } | Value::List(_) => self.expected("fields (`name: value`)"),
        }
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match &self.node.value {
            Value::Map(entries) => self.place(visitor.visit_map(Fields::new(&self, entries, Some(fields)))),
            Value::Scalar { .. } | Value::List(_) => self.expected("fields (`name: value`)"),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Wrong> {
        match self.scalar() {
            Some((text, Scalar::Text | Scalar::Bool(_) | Scalar::Int(_) | Scalar::Float(_))) => {
                self.place(visitor.visit_enum(Word(text)))
            }
            Some((_, Scalar::Null)) | None => self.expected("a word"),
        }
    }

    serde::forward_to_deserialize_any! {
        i128 u128 bytes byte_buf unit unit_struct tuple tuple_struct identifier ignored_any
    }
}

/// The items of a list.
struct Items<'a, 'p> {
    items: std::iter::Enumerate<std::slice::Iter<'a, Node>>,
    path: &'p Path<'p>,
    notes: &'p Notes,
}

impl<'a> SeqAccess<'a> for Items<'a, '_> {
    type Error = Wrong;

    fn next_element_seed<T: DeserializeSeed<'a>>(&mut self, seed: T) -> Result<Option<T::Value>, Wrong> {
        let Some((index, node)) = self.items.next() else { return Ok(None) };
        let path = Path::Item(self.path, index);
        let reader = Reader { node, path: &path, notes: self.notes };
        reader.place(seed.deserialize(reader)).map(Some)
    }
}

/// The fields of a mapping; `known` where it is a struct, and then unknown fields are noted and nulls left out.
struct Fields<'a, 'p> {
    entries: std::slice::Iter<'a, (Key, Node)>,
    value: Option<(&'a str, &'a Node)>,
    known: Option<&'static [&'static str]>,
    path: &'p Path<'p>,
    notes: &'p Notes,
}

impl<'a, 'p> Fields<'a, 'p> {
    fn new(reader: &Reader<'a, 'p>, entries: &'a [(Key, Node)], known: Option<&'static [&'static str]>) -> Self {
        Self { entries: entries.iter(), value: None, known, path: reader.path, notes: reader.notes }
    }

    fn unknown(&self, key: &Key, known: &[&'static str]) {
        let parent = self.path.to_string();
        let advice = near::advice(&parent, &key.name, known, crate::schema::places());
        let shown: String = key.name.chars().take(80).collect();
        let problem = Why::new("unknown field").advise(advice).at(key.at, Path::Field(self.path, &shown).to_string());
        self.notes.problems.borrow_mut().push(problem);
    }
}

impl<'a> MapAccess<'a> for Fields<'a, '_> {
    type Error = Wrong;

    fn next_key_seed<K: DeserializeSeed<'a>>(&mut self, seed: K) -> Result<Option<K::Value>, Wrong> {
        while let Some((key, node)) = self.entries.next() {
            if let Some(known) = self.known {
                if !known.contains(&key.name.as_str()) {
                    self.unknown(key, known);
                    continue;
                }
                if node.is_null() {
                    continue;
                }
            }
            self.value = Some((&key.name, node));
            return seed.deserialize(StrDeserializer::new(&key.name)).map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<V: DeserializeSeed<'a>>(&mut self, seed: V) -> Result<V::Value, Wrong> {
        let (name, node) = self.value.take().expect("serde asks for a value only after its key");
        let path = Path::Field(self.path, name);
        let reader = Reader { node, path: &path, notes: self.notes };
        reader.place(seed.deserialize(reader))
    }
}

/// A word that names a variant.
struct Word<'a>(&'a str);

impl<'a> EnumAccess<'a> for Word<'a> {
    type Error = Wrong;
    type Variant = Unit;

    fn variant_seed<V: DeserializeSeed<'a>>(self, seed: V) -> Result<(V::Value, Unit), Wrong> {
        seed.deserialize(StrDeserializer::new(self.0)).map(|variant| (variant, Unit))
    }
}

/// The nothing that follows a variant's name: no enum of a manifest carries data.
struct Unit;

impl<'a> VariantAccess<'a> for Unit {
    type Error = Wrong;

    fn unit_variant(self) -> Result<(), Wrong> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'a>>(self, _: T) -> Result<T::Value, Wrong> {
        Err(Wrong::new(Why::new("a word cannot carry a value")))
    }

    fn tuple_variant<V: Visitor<'a>>(self, _: usize, _: V) -> Result<V::Value, Wrong> {
        Err(Wrong::new(Why::new("a word cannot carry values")))
    }

    fn struct_variant<V: Visitor<'a>>(self, _: &'static [&'static str], _: V) -> Result<V::Value, Wrong> {
        Err(Wrong::new(Why::new("a word cannot carry fields")))
    }
}
