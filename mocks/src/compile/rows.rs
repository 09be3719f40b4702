//! Rows of shared tables that stubs look at and write, from their written form.
use indexmap::IndexMap;
use qiao_mappings::{
    Template,
    strict::{Mistake, Source, did_you_mean},
};
use serde_json::Value;

use super::{
    forms::template,
    report::{ANSWERING, KEYING, Place, Report},
};
use crate::{
    rows::{RowLook, Wanted, Write, WriteKind},
    spec::{OneOrMany, RowRule, StubSpec, WriteRule},
    tables::{Row, SharedTables, TableForm},
};

/// What is wrong with rows written out: tables and columns that are not there, keys that are missing.
pub fn mistakes(
    rows: &IndexMap<String, Vec<Row>>,
    form: &dyn Fn(&str) -> Result<&'static TableForm, String>,
    source: &Source,
) -> Vec<Mistake> {
    let mut report = Report::default();
    for (name, rows) in rows {
        let place = Place::root(source).member("rows", name);
        let Some(form) = report.keep(&place, form(name)) else { continue };
        for (number, row) in rows.iter().enumerate() {
            let place = place.at(&format!("[{number}]"));
            for column in row.keys() {
                check_column(form, column, &place.at(column), &mut report);
            }
            if row.get(form.key()).is_none_or(|key| key.as_str().is_none_or(str::is_empty)) {
                report.add(&place, format!("a row needs its key `{}`, a text", form.key()));
            }
        }
    }
    report.found
}

/// Rows that one stub looks at, and changes that it makes, at most.
const MAX: usize = 16;

/// Whether a stub needs the shared tables before its answer is made.
pub fn uses_tables(spec: &StubSpec) -> bool {
    let set = spec.state.as_ref().map(|state| serde_json::to_string(&state.set).unwrap_or_default());
    let reads = set.is_some_and(|set| set.contains("table(") || set.contains("lookup("));
    !spec.rows.is_empty() || !spec.write.is_empty() || reads
}

/// The rows that a stub looks at.
pub fn looks(
    rules: &IndexMap<String, RowRule>,
    tables: &SharedTables,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Vec<RowLook>> {
    if rules.len() > MAX {
        report.add(&place.at("rows"), format!("a stub looks at {MAX} rows at most"));
    }
    let compiled =
        rules.iter().map(|(name, rule)| look(name, rule, tables, &place.member("rows", name), report));
    // All of them are looked at, so that all mistakes are told.
    compiled.collect::<Vec<_>>().into_iter().collect()
}

fn look(
    name: &str,
    rule: &RowRule,
    tables: &SharedTables,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<RowLook> {
    let form = report.keep(&place.at("table"), tables.form(&rule.table))?;
    let mut by = rule.by.iter();
    let (Some((column, path)), None) = (by.next(), by.next()) else {
        report.add(&place.at("by"), "exactly one column and the JSONPath of its value");
        return None;
    };
    if !form.is_indexed(column) {
        let known = std::iter::once(form.key()).chain(form.indexes.iter().copied()).collect::<Vec<_>>();
        report.add(&place.at("by"), format!("rows of `{}` are found by {}", form.name, known.join(", ")));
    }
    let value = report.selector(&place.member("by", column), path, KEYING);
    let fits = rule.fits.iter().map(|(column, wanted)| {
        let place = place.member("where", column);
        check_column(form, column, &place, report);
        Some((column.as_str().into(), wanted_values(wanted, &place, report)?))
    });
    let fits: Option<Vec<_>> = fits.collect::<Vec<_>>().into_iter().collect();
    Some(RowLook {
        name: name.into(),
        form,
        column: column.as_str().into(),
        value: value?,
        fits: fits?,
        exists: rule.exists.unwrap_or(true),
    })
}

fn wanted_values(wanted: &OneOrMany, place: &Place<'_>, report: &mut Report) -> Option<Vec<Wanted>> {
    let one = |scalar: &crate::spec::criteria::Scalar| {
        let text = scalar.text();
        let compiled = template(&Value::from(text.as_str()), KEYING, place, report)?;
        Some(if compiled.is_constant() { Wanted::Text(text.into()) } else { Wanted::Template(compiled) })
    };
    wanted.values().iter().map(one).collect::<Vec<_>>().into_iter().collect()
}

/// The changes that a stub makes.
pub fn writes(
    rules: &[WriteRule],
    tables: &SharedTables,
    place: &Place<'_>,
    report: &mut Report,
) -> Option<Vec<Write>> {
    if rules.len() > MAX {
        report.add(&place.at("write"), format!("a stub makes {MAX} changes at most"));
    }
    let each = rules.iter().enumerate();
    let compiled = each.map(|(number, rule)| write(rule, tables, &place.nth("write", number), report));
    compiled.collect::<Vec<_>>().into_iter().collect()
}

fn write(rule: &WriteRule, tables: &SharedTables, place: &Place<'_>, report: &mut Report) -> Option<Write> {
    let form = report.keep(&place.at("table"), tables.form(&rule.table))?;
    let key = template(&Value::from(rule.key.as_str()), ANSWERING, &place.at("key"), report);
    let mut cells = |given: &IndexMap<String, Value>, at: &str| -> Option<Vec<(String, Template)>> {
        let each = given.iter().map(|(column, value)| {
            let place = place.member(at, column);
            check_column(form, column, &place, report);
            if column == form.key() {
                report.add(&place, format!("`{column}` is the key: write it as `key`"));
            }
            Some((column.clone(), template(value, ANSWERING, &place, report)?))
        });
        each.collect::<Vec<_>>().into_iter().collect()
    };
    let kind = match (&rule.set, &rule.insert, rule.remove) {
        (Some(given), None, false) => WriteKind::Set(cells(given, "set")?),
        (None, Some(given), false) => WriteKind::Insert(cells(given, "insert")?),
        (None, None, true) => WriteKind::Remove,
        _ => {
            report.add(place, "exactly one of set, insert and remove");
            return None;
        }
    };
    Some(Write { form, key: key?, kind })
}

fn check_column(form: &TableForm, column: &str, place: &Place<'_>, report: &mut Report) {
    if !form.columns.contains(&column) {
        let remedy = did_you_mean(column, form.columns.iter().copied());
        report.add_with_remedy(place, format!("`{}` has no column `{column}`", form.name), remedy);
    }
}
