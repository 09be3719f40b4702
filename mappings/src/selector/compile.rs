//! From the syntax tree of `jsonpath-rust` to ours, refusing what RFC 9535 refuses and the library lets through.

use super::filter::{Comparison, Logic, Operand};
use super::{Pick, Query, Segment};
use crate::error::ExpressionError;
use jsonpath_rust::parser::model as jp;
use jsonpath_rust::parser::parse_json_path;
use regex::Regex;
use serde_json::{Number, Value};

/// Two descendant segments multiply the nodes of a document by its depth at most; more would let them explode.
const MAX_DESCENDANT_SEGMENTS: usize = 2;
const MAX_TEXT: usize = 2_000;
const MAX_REGEX_BYTES: usize = 1 << 20;

type Compiled<T> = Result<T, ExpressionError>;

/// Compiles a selector and lists the documents it reads.
pub(super) fn selector(text: &str) -> Compiled<(Query, Vec<String>)> {
    let mut compiler = Compiler { roots: Vec::new(), named_roots: true };
    let query = compiler.absolute(&parse(text)?.segments)?;
    Ok((query, compiler.roots))
}

/// Compiles a plain RFC 9535 query, whose `$` is the document itself.
#[cfg(test)]
pub(super) fn bare(text: &str) -> Compiled<Query> {
    Compiler { roots: Vec::new(), named_roots: false }.absolute(&parse(text)?.segments)
}

fn parse(text: &str) -> Compiled<jp::JpQuery> {
    if text.len() > MAX_TEXT {
        return Err(refuse(format!("a selector has at most {MAX_TEXT} bytes")));
    }
    refuse_lost_whitespace(text)?;
    parse_json_path(text)
        .map_err(|error| refuse(format!("not a JSONPath selector: {}", first_line(&error.to_string()))))
}

/// The library trims white space beyond ASCII off member names, so it would read another member.
fn refuse_lost_whitespace(text: &str) -> Compiled<()> {
    let mut quote = None;
    let mut escaped = false;
    for c in text.chars() {
        match quote {
            Some(_) if escaped => escaped = false,
            Some(_) if c == '\\' => escaped = true,
            Some(open) if c == open => quote = None,
            Some(_) => {}
            None if c == '\'' || c == '"' => quote = Some(c),
            None if !c.is_ascii() && c.is_whitespace() => {
                return Err(refuse(
                    "white space other than ASCII in a name: write the name in quotes, as in $['a b']",
                ));
            }
            None => {}
        }
    }
    Ok(())
}

struct Compiler {
    roots: Vec<String>,
    named_roots: bool,
}

impl Compiler {
    fn absolute(&mut self, segments: &[jp::Segment]) -> Compiled<Query> {
        if !self.named_roots {
            return Ok(Query { root: None, segments: self.segments(segments)? });
        }
        let Some(jp::Segment::Selector(jp::Selector::Name(name))) = segments.first() else {
            return Err(refuse("a selector names a document first, as in $.request.person"));
        };
        self.add_root(name);
        Ok(Query { root: Some(name.clone()), segments: self.segments(&segments[1..])? })
    }

    fn add_root(&mut self, name: &str) {
        if !self.roots.iter().any(|root| root == name) {
            self.roots.push(name.to_owned());
        }
    }

    fn segments(&mut self, segments: &[jp::Segment]) -> Compiled<Vec<Segment>> {
        let descendants =
            segments.iter().filter(|segment| matches!(segment, jp::Segment::Descendant(_))).count();
        if descendants > MAX_DESCENDANT_SEGMENTS {
            return Err(refuse(format!(
                "at most {MAX_DESCENDANT_SEGMENTS} descendant segments (..) in a selector"
            )));
        }
        segments.iter().map(|segment| self.segment(segment)).collect()
    }

    fn segment(&mut self, segment: &jp::Segment) -> Compiled<Segment> {
        Ok(match segment {
            jp::Segment::Selector(jp::Selector::Name(name)) => Segment::Name(name.clone()),
            jp::Segment::Selector(jp::Selector::Index(index)) => Segment::Index(*index),
            jp::Segment::Descendant(inner) => match inner.as_ref() {
                jp::Segment::Descendant(_) => {
                    return Err(refuse("two descendant segments without a selector between"));
                }
                jp::Segment::Selector(one) => Segment::Descendants(vec![self.pick(one)?]),
                jp::Segment::Selectors(many) => Segment::Descendants(self.picks(many)?),
            },
            jp::Segment::Selector(one) => Segment::Children(vec![self.pick(one)?]),
            jp::Segment::Selectors(many) => Segment::Children(self.picks(many)?),
        })
    }

    fn picks(&mut self, selectors: &[jp::Selector]) -> Compiled<Vec<Pick>> {
        selectors.iter().map(|selector| self.pick(selector)).collect()
    }

    fn pick(&mut self, selector: &jp::Selector) -> Compiled<Pick> {
        Ok(match selector {
            jp::Selector::Name(name) => Pick::Name(name.clone()),
            jp::Selector::Wildcard => Pick::All,
            jp::Selector::Index(index) => Pick::Index(*index),
            jp::Selector::Slice(start, end, step) => {
                Pick::Slice { start: *start, end: *end, step: step.unwrap_or(1) }
            }
            jp::Selector::Filter(filter) => Pick::Where(self.filter(filter)?),
        })
    }

    fn filter(&mut self, filter: &jp::Filter) -> Compiled<Logic> {
        Ok(match filter {
            jp::Filter::Or(parts) => {
                Logic::Any(parts.iter().map(|part| self.filter(part)).collect::<Compiled<_>>()?)
            }
            jp::Filter::And(parts) => {
                Logic::All(parts.iter().map(|part| self.filter(part)).collect::<Compiled<_>>()?)
            }
            jp::Filter::Atom(jp::FilterAtom::Filter { expr, not }) => negate(self.filter(expr)?, *not),
            jp::Filter::Atom(jp::FilterAtom::Test { expr, not }) => negate(self.test(expr)?, *not),
            jp::Filter::Atom(jp::FilterAtom::Comparison(comparison)) => self.comparison(comparison)?,
        })
    }

    fn test(&mut self, test: &jp::Test) -> Compiled<Logic> {
        match test {
            jp::Test::RelQuery(_) | jp::Test::AbsQuery(_) => Ok(Logic::Exists(self.nodes(test)?)),
            jp::Test::Function(function) => match function.as_ref() {
                jp::TestFunction::Match(text, pattern) => self.regex(text, pattern, true),
                jp::TestFunction::Search(text, pattern) => self.regex(text, pattern, false),
                other => {
                    Err(refuse(format!("{} gives a value, not yes or no: compare it", function_name(other))))
                }
            },
        }
    }

    fn regex(&mut self, text: &jp::FnArg, pattern: &jp::FnArg, whole: bool) -> Compiled<Logic> {
        let jp::FnArg::Literal(jp::Literal::String(pattern)) = pattern else {
            return Err(refuse("the pattern of match() and search() must be a text literal"));
        };
        let pattern = if whole { format!("^(?:{})$", i_regexp(pattern)) } else { i_regexp(pattern) };
        let pattern =
            regex::RegexBuilder::new(&pattern).size_limit(MAX_REGEX_BYTES).build().map_err(|error| {
                refuse(format!("not a regular expression: {}", last_line(&error.to_string())))
            })?;
        Ok(Logic::Matches(self.value_argument(text)?, Box::<Regex>::new(pattern)))
    }

    fn comparison(&mut self, comparison: &jp::Comparison) -> Compiled<Logic> {
        let operator = match comparison {
            jp::Comparison::Eq(..) => Comparison::Equal,
            jp::Comparison::Ne(..) => Comparison::NotEqual,
            jp::Comparison::Gt(..) => Comparison::Greater,
            jp::Comparison::Gte(..) => Comparison::GreaterOrEqual,
            jp::Comparison::Lt(..) => Comparison::Less,
            jp::Comparison::Lte(..) => Comparison::LessOrEqual,
        };
        let (left, right) = comparison.vals();
        Ok(Logic::Compare(self.comparable(left)?, operator, self.comparable(right)?))
    }

    fn comparable(&mut self, comparable: &jp::Comparable) -> Compiled<Operand> {
        match comparable {
            jp::Comparable::Literal(literal) => Ok(Operand::Literal(literal_value(literal)?)),
            jp::Comparable::Function(function) => self.function(function),
            jp::Comparable::SingularQuery(jp::SingularQuery::Current(segments)) => {
                Ok(Operand::Single(Query { root: None, segments: singular(segments) }, false))
            }
            jp::Comparable::SingularQuery(jp::SingularQuery::Root(segments)) => {
                let mut segments = singular(segments);
                if !self.named_roots {
                    return Ok(Operand::Single(Query { root: None, segments }, true));
                }
                if !matches!(segments.first(), Some(Segment::Name(_))) {
                    return Err(refuse("$ in a filter names a document first, as in $.vars.code"));
                }
                let Segment::Name(root) = segments.remove(0) else { return Err(refuse("no document named")) };
                self.add_root(&root);
                Ok(Operand::Single(Query { root: Some(root), segments }, true))
            }
        }
    }

    fn function(&mut self, function: &jp::TestFunction) -> Compiled<Operand> {
        match function {
            jp::TestFunction::Length(argument) => {
                Ok(Operand::Length(Box::new(self.value_argument(argument)?)))
            }
            jp::TestFunction::Count(argument) => Ok(Operand::Count(self.nodes_argument(argument, "count")?)),
            jp::TestFunction::Value(argument) => Ok(Operand::Value(self.nodes_argument(argument, "value")?)),
            other => Err(refuse(format!("{} gives yes or no: it cannot be compared", function_name(other)))),
        }
    }

    /// An argument of type ValueType (RFC 9535 §2.4.3).
    fn value_argument(&mut self, argument: &jp::FnArg) -> Compiled<Operand> {
        match argument {
            jp::FnArg::Literal(literal) => Ok(Operand::Literal(literal_value(literal)?)),
            jp::FnArg::Test(test) => match test.as_ref() {
                jp::Test::Function(function) => self.function(function),
                query => {
                    let (query, absolute) = self.nodes(query)?;
                    if !query.is_singular() {
                        return Err(refuse(
                            "this argument must select one value: use names and indexes only",
                        ));
                    }
                    Ok(Operand::Single(query, absolute))
                }
            },
            jp::FnArg::Filter(_) => Err(refuse("a condition cannot be an argument of this function")),
        }
    }

    /// An argument of type NodesType (RFC 9535 §2.4.3).
    fn nodes_argument(&mut self, argument: &jp::FnArg, function: &str) -> Compiled<(Query, bool)> {
        match argument {
            jp::FnArg::Test(test) if !matches!(test.as_ref(), jp::Test::Function(_)) => self.nodes(test),
            _ => Err(refuse(format!("the argument of {function}() must be a path"))),
        }
    }

    /// A query and whether it starts at `$` rather than `@`.
    fn nodes(&mut self, test: &jp::Test) -> Compiled<(Query, bool)> {
        match test {
            jp::Test::RelQuery(segments) => {
                Ok((Query { root: None, segments: self.segments(segments)? }, false))
            }
            jp::Test::AbsQuery(query) => Ok((self.absolute(&query.segments)?, true)),
            jp::Test::Function(_) => Err(refuse("a path was expected, not a function")),
        }
    }
}

fn negate(logic: Logic, not: bool) -> Logic {
    if not { Logic::Not(Box::new(logic)) } else { logic }
}

fn singular(segments: &[jp::SingularQuerySegment]) -> Vec<Segment> {
    segments
        .iter()
        .map(|segment| match segment {
            jp::SingularQuerySegment::Index(index) => Segment::Index(*index),
            jp::SingularQuerySegment::Name(name) => Segment::Name(name.clone()),
        })
        .collect()
}

fn literal_value(literal: &jp::Literal) -> Compiled<Value> {
    Ok(match literal {
        jp::Literal::Int(number) => Value::from(*number),
        jp::Literal::Float(number) => Value::Number(
            Number::from_f64(*number).ok_or_else(|| refuse("a number too large for double precision"))?,
        ),
        jp::Literal::String(text) => Value::from(text.as_str()),
        jp::Literal::Bool(bool) => Value::from(*bool),
        jp::Literal::Null => Value::Null,
    })
}

fn function_name(function: &jp::TestFunction) -> String {
    match function {
        jp::TestFunction::Custom(name, _) => format!("{name}(), which is not a function of RFC 9535,"),
        jp::TestFunction::Length(_) => "length()".into(),
        jp::TestFunction::Value(_) => "value()".into(),
        jp::TestFunction::Count(_) => "count()".into(),
        jp::TestFunction::Search(..) => "search()".into(),
        jp::TestFunction::Match(..) => "match()".into(),
    }
}

/// I-Regexp (RFC 9485 §5.3): a dot outside a class matches anything but line feed and carriage return.
fn i_regexp(pattern: &str) -> String {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut class = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => {
                out.push(c);
                out.extend(chars.next());
            }
            '.' if !class => out.push_str("[^\\n\\r]"),
            _ => {
                class = (class || c == '[') && c != ']';
                out.push(c);
            }
        }
    }
    out
}

fn refuse(message: impl Into<String>) -> ExpressionError {
    ExpressionError::new(message)
}

fn first_line(text: &str) -> &str {
    let line = text.lines().find(|line| line.trim_start().starts_with('=')).or_else(|| text.lines().next());
    line.unwrap_or_default().trim_start_matches([' ', '='])
}

fn last_line(text: &str) -> &str {
    text.lines().last().unwrap_or_default()
}
