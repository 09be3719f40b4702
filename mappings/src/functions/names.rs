//! Names in the form to compare: the same person is written with different code points by different systems.

use super::{Call, FunctionError};
use serde_json::Value;

/// Old private-use code points of GB 18030 and the standard ones that replaced them (GB 18030-2022, tables 3 and D).
const STANDARD: [(char, char); 25] = [
    ('\u{E78D}', '\u{FE10}'),
    ('\u{E78E}', '\u{FE12}'),
    ('\u{E78F}', '\u{FE11}'),
    ('\u{E790}', '\u{FE13}'),
    ('\u{E791}', '\u{FE14}'),
    ('\u{E792}', '\u{FE15}'),
    ('\u{E793}', '\u{FE16}'),
    ('\u{E794}', '\u{FE17}'),
    ('\u{E795}', '\u{FE18}'),
    ('\u{E796}', '\u{FE19}'),
    ('\u{E7C7}', '\u{1E3F}'),
    ('\u{E81E}', '\u{9FB4}'),
    ('\u{E826}', '\u{9FB5}'),
    ('\u{E82B}', '\u{9FB6}'),
    ('\u{E82C}', '\u{9FB7}'),
    ('\u{E832}', '\u{9FB8}'),
    ('\u{E843}', '\u{9FB9}'),
    ('\u{E854}', '\u{9FBA}'),
    ('\u{E864}', '\u{9FBB}'),
    ('\u{E816}', '\u{20087}'),
    ('\u{E817}', '\u{20089}'),
    ('\u{E818}', '\u{200CC}'),
    ('\u{E831}', '\u{215D7}'),
    ('\u{E83B}', '\u{2298F}'),
    ('\u{E855}', '\u{241FE}'),
];

pub(super) fn fold_name(call: &Call<'_>) -> Result<Value, FunctionError> {
    let text = call.text()?;
    Ok(text.trim().chars().map(fold).collect::<String>().into())
}

fn fold(c: char) -> char {
    match c {
        // 间隔号 in its common spellings
        '\u{2022}' | '\u{30FB}' | '\u{FF0E}' | '\u{2027}' | '\u{FF65}' => '\u{00B7}',
        // full-width forms of ASCII
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(u32::from(c) - 0xFEE0).unwrap_or(c),
        '\u{3000}' => ' ',
        '\u{E000}'..='\u{F8FF}' => STANDARD.iter().find(|(old, _)| *old == c).map_or(c, |(_, new)| *new),
        _ => c,
    }
}
