//! A cursor over JSON text that is known to be UTF-8.
//!
//! A line ends at `\n` or at the end of the text; the cursor never crosses a newline, because a row is a line. Everything it
//! does not understand is [`Bad`], without a reason: reasons are found by reading the line again, slowly, when a reason is asked for.

/// The cursor met something it does not understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bad;

/// Objects and arrays nested deeper are left to the slow path.
const DEPTH: u8 = 100;

/// A string as it stands between its quotes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Raw<'a> {
    pub(crate) text: &'a str,
    /// True if the string has escapes.
    pub(crate) escaped: bool,
}

/// A number as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number<'a> {
    /// Without fraction and exponent, and within 64 bits.
    Positive(u64),
    /// The same, below zero.
    Negative(i64),
    /// Any other: valid JSON, not yet parsed.
    Other(&'a str),
}

/// The text and the position of the next byte.
#[derive(Clone, Debug)]
pub(crate) struct Cursor<'a> {
    text: &'a str,
    at: usize,
}

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// The high bit of each byte that is a quote, a backslash or below 0x20; exact up to and including the lowest one.
#[inline]
fn special(word: u64) -> u64 {
    let quote = word ^ (ONES * 0x22);
    let slash = word ^ (ONES * 0x5c);
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    let zero = (quote.wrapping_sub(ONES) & !quote) | (slash.wrapping_sub(ONES) & !slash);
    (control | zero) & HIGH
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0 }
    }

    /// The offset of the next byte.
    #[inline]
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Moves to an offset.
    pub(crate) fn go(&mut self, at: usize) {
        self.at = at;
    }

    /// The whole text.
    pub(crate) fn text(&self) -> &'a str {
        self.text
    }

    /// The next byte; the end of the text reads as a newline.
    #[inline]
    pub(crate) fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(b'\n')
    }

    #[inline]
    pub(crate) fn bump(&mut self) {
        self.at += 1;
    }

    /// Skips blanks within the line.
    #[inline]
    pub(crate) fn blanks(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\r') {
            self.at += 1;
        }
    }

    /// Skips blank lines; false at the end of the text.
    #[inline]
    pub(crate) fn seek_row(&mut self) -> bool {
        let bytes = self.text.as_bytes();
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = bytes.get(self.at) {
            self.at += 1;
        }
        self.at < bytes.len()
    }

    /// The next byte after blanks must be this one.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8) -> Result<(), Bad> {
        self.blanks();
        if self.peek() == byte {
            self.at += 1;
            return Ok(());
        }
        Err(Bad)
    }

    /// Goes past the end of the line, which must hold nothing more.
    #[inline]
    pub(crate) fn end_line(&mut self) -> Result<(), Bad> {
        self.blanks();
        if self.peek() != b'\n' {
            return Err(Bad);
        }
        self.at = (self.at + 1).min(self.text.len());
        Ok(())
    }

    /// The bytes of the line from `start` on, without its newline.
    pub(crate) fn line_from(&self, start: usize) -> &'a str {
        let rest = self.text.get(start..).unwrap_or_default();
        rest.get(..memchr::memchr(b'\n', rest.as_bytes()).unwrap_or(rest.len())).unwrap_or_default()
    }

    /// Reads a string; the cursor stands after its opening quote.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<Raw<'a>, Bad> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = bytes.get(self.at..).unwrap_or_default();
            match rest.first_chunk::<8>() {
                Some(word) => match special(u64::from_le_bytes(*word)) {
                    0 => {
                        self.at += 8;
                        continue;
                    }
                    found => self.at += (found.trailing_zeros() / 8) as usize,
                },
                None => self.at += rest.iter().position(|b| matches!(b, b'"' | b'\\' | 0..0x20)).ok_or(Bad)?,
            }
            match self.peek() {
                b'"' => {
                    let text = self.text.get(start..self.at).ok_or(Bad)?;
                    self.at += 1;
                    return Ok(Raw { text, escaped });
                }
                b'\\' => {
                    escaped = true;
                    self.escape()?;
                }
                _ => return Err(Bad),
            }
        }
    }

    /// Goes past one escape, which must be well formed by itself.
    #[cold]
    fn escape(&mut self) -> Result<(), Bad> {
        let rest = self.text.as_bytes().get(self.at + 1..).unwrap_or_default();
        self.at += match rest {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => 2,
            [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(|h| h.is_ascii_hexdigit()) => 6,
            _ => return Err(Bad),
        };
        Ok(())
    }

    /// Reads a number; the cursor stands on its first byte.
    #[inline]
    pub(crate) fn number(&mut self) -> Result<Number<'a>, Bad> {
        let start = self.at;
        let negative = self.peek() == b'-';
        if negative {
            self.at += 1;
        }
        let digits = self.at;
        let mut value: u64 = 0;
        loop {
            let d = self.peek().wrapping_sub(b'0');
            if d > 9 {
                break;
            }
            value = value.wrapping_mul(10).wrapping_add(u64::from(d));
            self.at += 1;
        }
        let length = self.at - digits;
        // Nineteen digits always fit; of longer numbers only some do.
        let fits = length < 20 || self.text.get(digits..self.at).is_some_and(|t| t.parse() == Ok(value));
        if length == 0 || (length > 1 && self.text.as_bytes().get(digits) == Some(&b'0')) {
            return Err(Bad);
        }
        if !matches!(self.peek(), b'.' | b'e' | b'E') && fits {
            if !negative {
                return Ok(Number::Positive(value));
            }
            // "-0" is a float, as for serde_json.
            if value != 0 && value <= i64::MIN.unsigned_abs() {
                return Ok(Number::Negative((value as i64).wrapping_neg()));
            }
        }
        self.fraction()?;
        self.text.get(start..self.at).map(Number::Other).ok_or(Bad)
    }

    fn fraction(&mut self) -> Result<(), Bad> {
        if self.peek() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), Bad> {
        let start = self.at;
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
        if self.at > start { Ok(()) } else { Err(Bad) }
    }

    /// Reads `true`, `false` or `null` as it must be.
    #[inline]
    pub(crate) fn word(&mut self, word: &str) -> Result<(), Bad> {
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        if rest.starts_with(word.as_bytes()) {
            self.at += word.len();
            return Ok(());
        }
        Err(Bad)
    }

    /// Goes past any value, checking that it is one.
    pub(crate) fn skip(&mut self) -> Result<(), Bad> {
        self.skip_at(0)
    }

    fn skip_at(&mut self, depth: u8) -> Result<(), Bad> {
        self.blanks();
        match self.peek() {
            b'"' => {
                self.bump();
                self.string().map(|_| ())
            }
            b'-' | b'0'..=b'9' => self.number().map(|_| ()),
            b't' => self.word("true"),
            b'f' => self.word("false"),
            b'n' => self.word("null"),
            b'{' | b'[' if depth >= DEPTH => Err(Bad),
            b'{' => {
                self.bump();
                self.items(b'}', |c| {
                    c.expect(b'"')?;
                    c.string()?;
                    c.expect(b':')?;
                    c.skip_at(depth + 1)
                })
            }
            b'[' => {
                self.bump();
                self.items(b']', |c| c.skip_at(depth + 1))
            }
            _ => Err(Bad),
        }
    }

    /// Goes past items with commas between them, up to and with `close`.
    fn items(&mut self, close: u8, mut item: impl FnMut(&mut Self) -> Result<(), Bad>) -> Result<(), Bad> {
        self.blanks();
        if self.peek() == close {
            self.bump();
            return Ok(());
        }
        loop {
            item(self)?;
            self.blanks();
            match self.peek() {
                b',' => self.bump(),
                b if b == close => {
                    self.bump();
                    return Ok(());
                }
                _ => return Err(Bad),
            }
        }
    }
}

/// Appends a string with its escapes resolved. Half a surrogate pair is [`Bad`].
pub(crate) fn unescape(raw: &str, out: &mut String) -> Result<(), Bad> {
    let mut rest = raw;
    while let Some(i) = memchr::memchr(b'\\', rest.as_bytes()) {
        out.push_str(rest.get(..i).ok_or(Bad)?);
        let mut chars = rest.get(i + 1..).ok_or(Bad)?.chars();
        let c = match chars.next().ok_or(Bad)? {
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'u' => {
                let (c, after) = code_point(chars.as_str())?;
                chars = after.chars();
                c
            }
            c @ ('"' | '\\' | '/') => c,
            _ => return Err(Bad),
        };
        out.push(c);
        rest = chars.as_str();
    }
    out.push_str(rest);
    Ok(())
}

fn code_point(text: &str) -> Result<(char, &str), Bad> {
    let (high, rest) = hex4(text)?;
    if !(0xd800..0xdc00).contains(&high) {
        return char::from_u32(high).map(|c| (c, rest)).ok_or(Bad);
    }
    let (low, rest) = hex4(rest.strip_prefix("\\u").ok_or(Bad)?)?;
    if !(0xdc00..0xe000).contains(&low) {
        return Err(Bad);
    }
    char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)).map(|c| (c, rest)).ok_or(Bad)
}

fn hex4(text: &str) -> Result<(u32, &str), Bad> {
    let (digits, rest) = text.split_at_checked(4).ok_or(Bad)?;
    if !digits.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(Bad);
    }
    u32::from_str_radix(digits, 16).map(|n| (n, rest)).map_err(|_| Bad)
}
