//! What stubs match, from its written form.
use http::{HeaderName, Method};
use qiao_mappings::Expression;

use super::report::{MATCHING, Place, Report};
use crate::{
    functions::Looking,
    matching::{
        Condition, Conditions, PathPattern, Source, Sources, Test,
        condition::{Look, Order},
        likeness::Likeness,
    },
    spec::{
        Criterion, When,
        criteria::{Ignored, Scalar},
    },
};

/// A stub's conditions. `item` stands first, because it is the first choice of the index.
pub fn conditions(
    item: Option<&str>,
    when: Option<&When>,
    place: &Place<'_>,
    sources: &mut Sources,
    report: &mut Report,
) -> Conditions {
    let nothing = When::default();
    let item = item.and_then(|item| equality(sources, report, place, "item", Ok(Source::Item), item));
    let mut conditions = of_when(when.unwrap_or(&nothing), &place.at("when"), sources, report);
    conditions.all.splice(0..0, item);
    conditions
}

/// Conditions without an item.
pub fn of_when(when: &When, place: &Place<'_>, sources: &mut Sources, report: &mut Report) -> Conditions {
    let mut conditions = Conditions::default();
    if let Some(method) = &when.method {
        conditions.method = report.keep(&place.at("method"), Method::from_bytes(method.as_bytes()));
    }
    if let Some(path) = &when.path {
        conditions.path = report.keep(&place.at("path"), PathPattern::parse(path));
    }
    for (name, value) in &when.header {
        let (place, source) = (place.member("header", name), header(name));
        let name = format!("header {}", name.to_ascii_lowercase());
        conditions.all.extend(equality(sources, report, &place, &name, source, value));
    }
    for (name, value) in &when.query {
        let place = place.member("query", name);
        let source = Ok(Source::Query(name.as_str().into()));
        conditions.all.extend(equality(sources, report, &place, &format!("query {name}"), source, value));
    }
    let mut compiler = Compiler { path: conditions.path.clone(), sources, report };
    conditions.all.extend(compiler.list(&when.all, "all", place));
    conditions.any = compiler.list(&when.any, "any", place);
    conditions.not = compiler.list(&when.not, "not", place);
    conditions
}

fn equality(
    sources: &mut Sources,
    report: &mut Report,
    place: &Place<'_>,
    name: &str,
    source: Result<Source, String>,
    value: &str,
) -> Option<Condition> {
    let source = report.keep(place, sources.source(name, || source))?;
    let look = Look::At(source, Test::Equals(value.into()));
    Some(Condition { look, place: name.into(), wanted: format!("equals {value}").into() })
}

fn header(name: &str) -> Result<Source, String> {
    let name = HeaderName::from_bytes(name.to_ascii_lowercase().as_bytes());
    name.map(Source::Header).map_err(|_| "not a header's name".to_owned())
}

struct Compiler<'c> {
    path: Option<PathPattern>,
    sources: &'c mut Sources,
    report: &'c mut Report,
}

impl Compiler<'_> {
    fn list(&mut self, criteria: &[Criterion], key: &str, place: &Place<'_>) -> Vec<Condition> {
        let each = criteria.iter().enumerate();
        each.filter_map(|(index, criterion)| self.criterion(criterion, &place.nth(key, index))).collect()
    }

    fn criterion(&mut self, criterion: &Criterion, place: &Place<'_>) -> Option<Condition> {
        let written =
            [&criterion.json, &criterion.xml, &criterion.header, &criterion.query, &criterion.param];
        let places = written.iter().filter(|place| place.is_some()).count();
        let tests = tests(criterion);
        match (&criterion.cel, places, tests.len()) {
            (Some(cel), 0, 0) => self.cel(cel, place),
            (None, 1, 1) => {
                let (source, name) = self.source(criterion, place)?;
                let (kind, test) = tests.into_iter().next()?;
                let in_document = criterion.json.is_some() || criterion.xml.is_some();
                if criterion.equals_json.is_some() && !in_document {
                    self.report.add(place, "`equalsJson` compares a value of `json` or `xml`");
                }
                if criterion.equals_json.is_none() && !criterion.ignore.is_empty() {
                    self.report.add(&place.at("ignore"), "only `equalsJson` passes anything over");
                }
                let (test, wanted) = self.test(kind, test, &criterion.ignore, place)?;
                Some(Condition { look: Look::At(source, test), place: name.into(), wanted: wanted.into() })
            }
            (Some(_), ..) => {
                self.report.add(place, "`cel` stands alone");
                None
            }
            (None, 1, _) => {
                self.report.add(
                    place,
                    "exactly one of equals, in, matches, contains, startsWith, gt, gte, lt, lte, exists, equalsJson",
                );
                None
            }
            _ => {
                self.report.add(place, "exactly one of json, xml, header, query, param, or cel alone");
                None
            }
        }
    }

    fn cel(&mut self, text: &str, place: &Place<'_>) -> Option<Condition> {
        let place = place.at("cel");
        let expression = self.report.keep(&place, Expression::compile(text, &Looking))?;
        self.report.roots(&place, expression.roots(), MATCHING);
        let number = self.sources.cel::<String>(text, || Ok(expression)).ok()?;
        Some(Condition { look: Look::Cel(number), place: "cel".into(), wanted: text.into() })
    }

    /// The number and the name of the place looked at.
    fn source(&mut self, criterion: &Criterion, place: &Place<'_>) -> Option<(usize, String)> {
        let (key, name, source) = if let Some(text) = criterion.json.as_ref().or(criterion.xml.as_ref()) {
            let key = if criterion.json.is_some() { "json" } else { "xml" };
            let selector = self.report.selector(&place.at(key), text, MATCHING)?;
            (key, text.clone(), Ok(Source::Select(selector)))
        } else if let Some(name) = &criterion.header {
            ("header", format!("header {}", name.to_ascii_lowercase()), header(name))
        } else if let Some(name) = &criterion.query {
            ("query", format!("query {name}"), Ok(Source::Query(name.as_str().into())))
        } else {
            let name = criterion.param.as_deref()?;
            let segment = self.path.as_ref().and_then(|path| path.names().find(|(_, known)| *known == name));
            let source = segment.map(|(number, _)| Source::Segment(number));
            let number = segment.map_or(0, |(number, _)| number);
            (
                "param",
                format!("segment {number}"),
                source.ok_or_else(|| format!("`path` has no segment {{{name}}}")),
            )
        };
        let number = self.report.keep(&place.at(key), self.sources.source(&name, || source))?;
        Some((number, name))
    }

    fn test(
        &mut self,
        kind: &'static str,
        test: Written<'_>,
        ignored: &[Ignored],
        place: &Place<'_>,
    ) -> Option<(Test, String)> {
        let boxed = |scalar: &Scalar| Box::<str>::from(scalar.text());
        let order = |order, bound: &Scalar| Test::Order(order, boxed(bound));
        Some(match (kind, test) {
            ("equals", Written::One(value)) => {
                (Test::Equals(boxed(value)), format!("equals {}", value.text()))
            }
            ("gt", Written::One(bound)) => (order(Order::Gt, bound), format!("gt {}", bound.text())),
            ("gte", Written::One(bound)) => (order(Order::Gte, bound), format!("gte {}", bound.text())),
            ("lt", Written::One(bound)) => (order(Order::Lt, bound), format!("lt {}", bound.text())),
            ("lte", Written::One(bound)) => (order(Order::Lte, bound), format!("lte {}", bound.text())),
            ("in", Written::Many(values)) => {
                let mut values: Vec<Box<str>> = values.iter().map(boxed).collect();
                values.sort_unstable();
                values.dedup();
                let wanted = format!("in {}", values.join(", "));
                (Test::In(values), wanted)
            }
            ("matches", Written::Text(text)) => {
                let number = self.report.keep(&place.at("matches"), self.sources.regex(text))?;
                (Test::Matches(number), format!("matches {text}"))
            }
            ("contains", Written::Text(text)) => (Test::Contains(text.into()), format!("contains {text}")),
            ("startsWith", Written::Text(text)) => {
                (Test::StartsWith(text.into()), format!("startsWith {text}"))
            }
            ("equalsJson", Written::Json(wanted)) => {
                (Test::Json(Box::new(Likeness::new(wanted, ignored))), format!("equalsJson {wanted}"))
            }
            (_, Written::Flag(wanted)) => (Test::Exists(wanted), format!("exists {wanted}")),
            _ => return None,
        })
    }
}

#[derive(Clone, Copy)]
enum Written<'c> {
    One(&'c Scalar),
    Many(&'c [Scalar]),
    Text(&'c str),
    Flag(bool),
    Json(&'c serde_json::Value),
}

fn tests(criterion: &Criterion) -> Vec<(&'static str, Written<'_>)> {
    let mut tests = Vec::new();
    let scalars = [
        ("equals", &criterion.equals),
        ("gt", &criterion.gt),
        ("gte", &criterion.gte),
        ("lt", &criterion.lt),
        ("lte", &criterion.lte),
    ];
    tests.extend(
        scalars.into_iter().filter_map(|(name, scalar)| Some((name, Written::One(scalar.as_ref()?)))),
    );
    let texts = [
        ("matches", &criterion.matches),
        ("contains", &criterion.contains),
        ("startsWith", &criterion.starts_with),
    ];
    tests.extend(texts.into_iter().filter_map(|(name, text)| Some((name, Written::Text(text.as_deref()?)))));
    tests.extend(criterion.one_of.as_deref().map(|values| ("in", Written::Many(values))));
    tests.extend(criterion.equals_json.as_ref().map(|wanted| ("equalsJson", Written::Json(wanted))));
    tests.extend(criterion.exists.map(|wanted| ("exists", Written::Flag(wanted))));
    tests
}
