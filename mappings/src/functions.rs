//! The mapping functions: one table, used by `apply` rules, by CEL and by `qiao functions`.
//!
//! To add one: write it in the file of its group (or a new one), and add its row to [`FUNCTIONS`].

pub mod call;
mod convert;
mod date;
mod encode;
mod identity;
mod lists;
mod lookup;
mod mask;
mod names;
pub(crate) mod pattern;
mod tags;
mod text;

use crate::table::Table;
use serde_json::Value;
use std::borrow::Cow;

/// A function as readers, `apply` and CEL see it.
pub struct Function {
    /// Its name, the same in `apply` and CEL.
    pub name: &'static str,
    /// How CEL calls it; `apply` leaves out the first argument, which is the value at hand.
    pub signature: &'static str,
    /// What it does, with units, bounds and standard.
    pub doc: &'static str,
    /// The fewest arguments after the value.
    pub min_arguments: usize,
    /// The most arguments after the value.
    pub max_arguments: usize,
    /// Whether it works on a value; `now()` and `uuid()` do not.
    pub takes_input: bool,
    /// Whether its first argument names a code table.
    pub needs_table: bool,
    /// Whether CEL has it under this name; where not, CEL's standard library has its own.
    pub in_cel: bool,
    pub(crate) check: Check,
    pub(crate) run: Run,
}

/// What one call of a function gets.
pub(crate) struct Call<'a> {
    pub input: &'a Value,
    pub arguments: &'a [Value],
    pub table: Option<&'a Table>,
    pub now_millis: &'a dyn Fn() -> i64,
}

pub(crate) type Run = fn(&Call<'_>) -> Result<Value, FunctionError>;
pub(crate) type Check = fn(&[Value]) -> Result<(), FunctionError>;

/// Why a function refused its value or arguments, without the value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct FunctionError(Cow<'static, str>);

impl FunctionError {
    pub(crate) fn new(message: impl Into<Cow<'static, str>>) -> FunctionError {
        FunctionError(message.into())
    }
}

/// The function of that name.
pub fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.iter().find(|function| function.name == name)
}

/// A hint for a misspelt name: `; did you mean trim()?`
pub(crate) fn hint(name: &str) -> String {
    let near = |other: &str| {
        other.eq_ignore_ascii_case(name)
            || (name.len() >= 3 && (other.starts_with(name) || name.starts_with(other)))
            || other.len() == name.len()
                && other.bytes().zip(name.bytes()).filter(|(a, b)| a != b).count() <= 2
            || other.len() == name.len() + 1 && is_subsequence(name, other)
            || name.len() == other.len() + 1 && is_subsequence(other, name)
    };
    match FUNCTIONS.iter().find(|function| near(function.name)) {
        Some(function) => format!("; did you mean {}()?", function.name),
        None => String::new(),
    }
}

fn is_subsequence(short: &str, long: &str) -> bool {
    let mut rest = long.bytes();
    short.bytes().all(|wanted| rest.any(|byte| byte == wanted))
}

const ANY: usize = usize::MAX;

/// Every function, by group.
pub static FUNCTIONS: &[Function] = &[
    // text, by code point
    row("trim", "trim(text)", "Without white space at both ends, the ideographic space included.", 0, 0, text::trim),
    row("upper", "upper(text)", "In capital letters.", 0, 0, text::upper),
    row("lower", "lower(text)", "In small letters.", 0, 0, text::lower),
    row("substring", "substring(text, start[, end])", "From character start (from 0) up to before end; a negative position counts from the end; what lies outside is empty.", 1, 2, text::substring).checked(text::check_positions),
    row("replace", "replace(text, from, to)", "Every occurrence of from replaced by to.", 2, 2, text::replace).checked(text::check_not_empty),
    row("concat", "concat(text, more...)", "The texts one after the other; null counts as empty.", 1, ANY, text::concat),
    row("join", "join(list, separator)", "The elements of a list as one text.", 1, 1, text::join),
    row("split", "split(text, separator)", "The parts between separators, as a list; an empty text gives an empty list.", 1, 1, text::split).checked(text::check_not_empty),
    row("padLeft", "padLeft(text, width[, character])", "Filled at the left to width characters (at most 1000), with 0 unless another is given; longer text stays.", 1, 2, text::pad_left).checked(text::check_width),
    row("padRight", "padRight(text, width[, character])", "Filled at the right to width characters (at most 1000), with a blank unless another is given; longer text stays.", 1, 2, text::pad_right).checked(text::check_width),
    // conversions
    row("text", "text(value)", "A number or boolean as text; a whole number without a decimal point.", 0, 0, convert::text),
    row("number", "number(text)", "Text as a number; an integer stays exact within 64 bits.", 0, 0, convert::number),
    row("bool", "bool(value)", "true for true, 1, Y, yes, 是; false for false, 0, N, no, 否; anything else is refused.", 0, 0, convert::boolean).not_in_cel(),
    // dates and times, patterns of yyyy MM dd HH mm ss SSS and literal text
    row("date", "date(text, from, to)", "A date or time rewritten from one pattern to another; the date must exist.", 2, 2, date::date).checked(date::check_two_patterns),
    row("dateAdd", "dateAdd(text, pattern, amount, unit)", "Moved by amount years, months, days, hours, minutes or seconds; a day beyond the end of its month becomes the last.", 3, 3, date::date_add).checked(date::check_date_add),
    row("now", "now([pattern])", "The present time in China standard time (UTC+8); yyyy-MM-dd HH:mm:ss unless another pattern is given.", 0, 1, date::now).without_input().checked(date::check_one_pattern),
    row("addMonths", "addMonths(yyyyMM, months)", "A month moved by a number of months, as yyyyMM.", 1, 1, date::add_months).checked(date::check_months),
    row("monthsBetween", "monthsBetween(from, to)", "How many months lie between two months yyyyMM; negative when to is earlier.", 1, 1, date::months_between),
    // code tables
    row("lookup", "lookup(code, table)", "The meaning of a code in a code table; an unlisted code gives the table's default or is refused.", 1, 1, lookup::lookup).with_table(),
    row("reverseLookup", "reverseLookup(meaning, table)", "The code of a meaning in a code table; an unlisted meaning gives the table's reverse default or is refused.", 1, 1, lookup::reverse_lookup).with_table(),
    // personal data and identifiers
    row("mask", "mask(text, kind)", "Hidden for display, by character: name, idNo, phone, card, address, email or last4.", 1, 1, mask::mask).checked(mask::check_kind),
    row("idNo", "idNo(text[, kinds])", "An identity number that passes its check (MOD 11-2, a date that exists), x written X; kinds limits to resident (GB 11643), fpr (2023 permanent residence), hmt, separated by blanks.", 0, 1, identity::id_no).checked(identity::check_kinds),
    row("isIdNo", "isIdNo(text[, kinds])", "Whether idNo(text, kinds) accepts it.", 0, 1, identity::is_id_no).checked(identity::check_kinds),
    row("idKind", "idKind(text)", "resident, fpr or hmt, of an identity number that passes its check.", 0, 0, identity::id_kind),
    row("idGender", "idGender(text)", "1 for male, 2 for female (GB/T 2261.1), from an identity number.", 0, 0, identity::id_gender),
    row("idBirth", "idBirth(text[, pattern])", "The date of birth in an identity number, as yyyyMMdd unless another pattern is given.", 0, 1, identity::id_birth).checked(date::check_one_pattern),
    row("uscc", "uscc(text)", "A unified social credit code that passes its check (GB 32100), in capitals.", 0, 0, identity::uscc),
    row("isUscc", "isUscc(text)", "Whether uscc(text) accepts it.", 0, 0, identity::is_uscc),
    row("luhn", "luhn(text)", "A bank card number whose Luhn check digit (ISO/IEC 7812-1) fits.", 0, 0, identity::luhn),
    row("isLuhn", "isLuhn(text)", "Whether luhn(text) accepts it.", 0, 0, identity::is_luhn),
    row("foldName", "foldName(text)", "A name in the form to compare: old private-use GB 18030 characters to their Unicode 11 code points, every name dot to ·, full-width letters to ASCII, no white space around.", 0, 0, names::fold_name),
    // encodings
    row("hexEncode", "hexEncode(text)", "The UTF-8 bytes in small hexadecimal digits.", 0, 0, encode::hex_encode),
    row("hexDecode", "hexDecode(text)", "The UTF-8 text of hexadecimal digits.", 0, 0, encode::hex_decode),
    row("base64Encode", "base64Encode(text)", "The UTF-8 bytes in base64 (RFC 4648 §4).", 0, 0, encode::base64_encode),
    row("base64Decode", "base64Decode(text)", "The UTF-8 text of base64 (RFC 4648 §4).", 0, 0, encode::base64_decode),
    row("parseJson", "parseJson(text)", "The document in a JSON text, under the bounds of the json codec.", 0, 0, encode::parse_json),
    row("toJson", "toJson(value)", "A value as compact JSON text.", 0, 0, encode::to_json),
    row("parseXml", "parseXml(text)", "The document in an XML text, under the rules and bounds of the xml codec: {root: content}.", 0, 0, encode::parse_xml),
    row("toXml", "toXml(document)", "A document {root: content} as XML text without declaration.", 0, 0, encode::to_xml),
    row("parseTags", "parseTags(text)", "The elements of a text that is XML but for its root and its names, such as <ERR>00</ERR><批次号*>286</批次号*>, as an object; text after the last element is its member #rest.", 0, 0, tags::parse),
    row("toTags", "toTags(object)", "The members of an object as elements one after the other, without root.", 0, 0, tags::write),
    row("sm3", "sm3(text)", "The SM3 digest (GB/T 32905) of the UTF-8 bytes, in small hexadecimal digits.", 0, 0, encode::sm3),
    row("uuid", "uuid()", "A new random UUID (RFC 9562, version 4).", 0, 0, encode::uuid).without_input(),
    // lists and choices
    row("coalesce", "coalesce(value, others...)", "The first that is neither null nor empty text, else null.", 1, ANY, lists::coalesce),
    row("size", "size(value)", "Characters of a text, elements of a list, members of an object.", 0, 0, lists::size).not_in_cel(),
    row("list", "list(value)", "A list of it unless it is a list; null gives an empty list.", 0, 0, lists::list),
];

const fn row(
    name: &'static str,
    signature: &'static str,
    doc: &'static str,
    min_arguments: usize,
    max_arguments: usize,
    run: Run,
) -> Function {
    let check: Check = |_| Ok(());
    Function {
        name,
        signature,
        doc,
        min_arguments,
        max_arguments,
        takes_input: true,
        needs_table: false,
        in_cel: true,
        check,
        run,
    }
}

impl Function {
    const fn checked(mut self, check: Check) -> Function {
        self.check = check;
        self
    }

    const fn without_input(mut self) -> Function {
        self.takes_input = false;
        self
    }

    const fn with_table(mut self) -> Function {
        self.needs_table = true;
        self
    }

    const fn not_in_cel(mut self) -> Function {
        self.in_cel = false;
        self
    }
}

impl std::fmt::Debug for Function {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(self.signature)
    }
}

impl<'a> Call<'a> {
    /// The value at hand as text; null and structures are refused.
    pub(crate) fn text(&self) -> Result<Cow<'a, str>, FunctionError> {
        text_of(self.input, "the value")
    }

    /// Argument `index` as text.
    pub(crate) fn argument(&self, index: usize) -> Result<Cow<'a, str>, FunctionError> {
        match self.arguments.get(index) {
            Some(argument) => text_of(argument, "an argument"),
            None => Err(FunctionError::new("an argument is missing")),
        }
    }

    /// Argument `index` as text, if it was given.
    pub(crate) fn optional(&self, index: usize) -> Result<Option<Cow<'a, str>>, FunctionError> {
        self.arguments.get(index).map(|argument| text_of(argument, "an argument")).transpose()
    }

    /// Argument `index` as an integer.
    pub(crate) fn integer(&self, index: usize) -> Result<i64, FunctionError> {
        integer_of(self.arguments.get(index).unwrap_or(&Value::Null))
    }
}

fn text_of<'a>(value: &'a Value, what: &str) -> Result<Cow<'a, str>, FunctionError> {
    match value {
        Value::Null => Err(FunctionError::new(format!("{what} is null, not text"))),
        _ => crate::document::scalar_text(value).ok_or_else(|| {
            FunctionError::new(format!("{what} is {}, not text", crate::document::type_name(value)))
        }),
    }
}

/// An integer, or text that spells one.
pub(crate) fn integer_of(value: &Value) -> Result<i64, FunctionError> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
    .ok_or_else(|| FunctionError::new("an argument is not a whole number"))
}

#[cfg(test)]
mod tests;
