//! A serde deserializer over the cursor: flat rows of strings and numbers at the speed of finding their ends.
//!
//! The deserialiser serves what rows are made of (maps, structs, sequences, options, scalars) itself and hands any value it has no mind to
//! understand (enums, byte strings, raw values) to `serde_json`, on exactly that value's text.

use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::scan::{Bad, Cursor, Number, Raw, unescape};

impl std::fmt::Display for Bad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("not understood")
    }
}

impl std::error::Error for Bad {}

impl de::Error for Bad {
    #[cold]
    fn custom<T: std::fmt::Display>(_msg: T) -> Self {
        Self
    }
    #[cold]
    fn invalid_type(_unexp: de::Unexpected<'_>, _exp: &dyn de::Expected) -> Self {
        Self
    }
}

/// Reads values at the cursor.
pub(crate) struct Values<'c, 'de> {
    cursor: &'c mut Cursor<'de>,
    /// Nesting left before the slow path takes over.
    depth: u8,
}

impl<'c, 'de> Values<'c, 'de> {
    pub(crate) fn new(cursor: &'c mut Cursor<'de>) -> Self {
        Self { cursor, depth: 100 }
    }

    #[inline]
    fn again(&mut self) -> Values<'_, 'de> {
        Values { cursor: self.cursor, depth: self.depth }
    }

    fn deeper(&mut self) -> Result<(), Bad> {
        self.depth = self.depth.checked_sub(1).ok_or(Bad)?;
        Ok(())
    }

    /// The text of the next value.
    fn value_text(&mut self) -> Result<&'de str, Bad> {
        self.cursor.blanks();
        let start = self.cursor.at();
        self.cursor.skip()?;
        self.cursor.text().get(start..self.cursor.at()).ok_or(Bad)
    }
}

#[inline]
fn visit_string<'de, V: Visitor<'de>>(raw: Raw<'de>, visitor: V) -> Result<V::Value, Bad> {
    if !raw.escaped {
        return visitor.visit_borrowed_str(raw.text);
    }
    let mut text = String::with_capacity(raw.text.len());
    unescape(raw.text, &mut text)?;
    visitor.visit_str(&text)
}

impl<'de> Deserializer<'de> for Values<'_, 'de> {
    type Error = Bad;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Bad> {
        self.cursor.blanks();
        match self.cursor.peek() {
            b'"' => {
                self.cursor.bump();
                visit_string(self.cursor.string()?, visitor)
            }
            b'-' | b'0'..=b'9' => match self.cursor.number()? {
                Number::Positive(n) => visitor.visit_u64(n),
                Number::Negative(n) => visitor.visit_i64(n),
                Number::Other(text) => visitor.visit_f64(finite(text)?),
            },
            b'{' => {
                self.cursor.bump();
                self.deeper()?;
                let value = visitor.visit_map(Items { values: self.again(), first: true, close: b'}' })?;
                self.cursor.expect(b'}')?;
                Ok(value)
            }
            b'[' => {
                self.cursor.bump();
                self.deeper()?;
                let value = visitor.visit_seq(Items { values: self.again(), first: true, close: b']' })?;
                self.cursor.expect(b']')?;
                Ok(value)
            }
            b't' => self.cursor.word("true").and_then(|()| visitor.visit_bool(true)),
            b'f' => self.cursor.word("false").and_then(|()| visitor.visit_bool(false)),
            b'n' => self.cursor.word("null").and_then(|()| visitor.visit_unit()),
            _ => Err(Bad),
        }
    }

    #[inline]
    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        self.cursor.blanks();
        if self.cursor.peek() == b'n' {
            self.cursor.word("null")?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(mut self, name: &'static str, visitor: V) -> Result<V::Value, Bad> {
        if name.starts_with('$') {
            let text = self.value_text()?;
            return serde_json::Deserializer::from_str(text).deserialize_newtype_struct(name, visitor).map_err(|_| Bad);
        }
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Bad> {
        let text = self.value_text()?;
        serde_json::Deserializer::from_str(text).deserialize_enum(name, variants, visitor).map_err(|_| Bad)
    }

    fn deserialize_bytes<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Bad> {
        let text = self.value_text()?;
        serde_json::Deserializer::from_str(text).deserialize_bytes(visitor).map_err(|_| Bad)
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        self.deserialize_bytes(visitor)
    }

    fn deserialize_i128<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Bad> {
        let text = self.value_text()?;
        serde_json::Deserializer::from_str(text).deserialize_i128(visitor).map_err(|_| Bad)
    }

    fn deserialize_u128<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, Bad> {
        let text = self.value_text()?;
        serde_json::Deserializer::from_str(text).deserialize_u128(visitor).map_err(|_| Bad)
    }

    #[inline]
    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        self.cursor.skip()?;
        visitor.visit_unit()
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string unit unit_struct seq tuple tuple_struct map struct identifier
    }
}

/// A float as the nearest double; beyond the doubles is for the slow path to refuse.
pub(crate) fn finite(text: &str) -> Result<f64, Bad> {
    text.parse().ok().filter(|f: &f64| f.is_finite()).ok_or(Bad)
}

/// The items of an object or an array.
struct Items<'c, 'de> {
    values: Values<'c, 'de>,
    first: bool,
    close: u8,
}

impl<'de> Items<'_, 'de> {
    /// Goes to the next item; false before the closing bracket.
    #[inline]
    fn more(&mut self) -> Result<bool, Bad> {
        let cursor = &mut *self.values.cursor;
        cursor.blanks();
        let byte = cursor.peek();
        if byte == self.close {
            return Ok(false);
        }
        if std::mem::take(&mut self.first) {
            return Ok(true);
        }
        if byte != b',' {
            return Err(Bad);
        }
        cursor.bump();
        cursor.blanks();
        // `[1,]` is no list: a value must follow, and a closing bracket is none.
        Ok(true)
    }
}

impl<'de> MapAccess<'de> for Items<'_, 'de> {
    type Error = Bad;

    #[inline]
    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Bad> {
        if !self.more()? {
            return Ok(None);
        }
        if self.values.cursor.peek() != b'"' {
            return Err(Bad);
        }
        seed.deserialize(Name(self.values.cursor)).map(Some)
    }

    #[inline]
    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, Bad> {
        self.values.cursor.expect(b':')?;
        seed.deserialize(self.values.again())
    }
}

impl<'de> SeqAccess<'de> for Items<'_, 'de> {
    type Error = Bad;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Bad> {
        if !self.more()? {
            return Ok(None);
        }
        seed.deserialize(self.values.again()).map(Some)
    }
}

/// A name in an object. Names that are read as anything but text (numbers as keys of a map) are left to the slow path.
struct Name<'c, 'de>(&'c mut Cursor<'de>);

impl<'de> Deserializer<'de> for Name<'_, 'de> {
    type Error = Bad;

    #[inline]
    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        self.0.bump();
        visit_string(self.0.string()?, visitor)
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        self.0.bump();
        self.0.string()?;
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Bad> {
        visitor.visit_some(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _variants: &'static [&'static str],
        _visitor: V,
    ) -> Result<V::Value, Bad> {
        Err(Bad)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct identifier
    }
}
