//! Compiling mappings: every mistake at once, each with its path.

use super::{Each, Mapping, MappingSpec, Rule, RuleSpec, Source, Target};
use crate::error::{ExpressionError, SpecError, join_path};
use crate::expression::Expression;
use crate::functions::call::Applied;
use crate::selector::Selector;
use crate::table::Tables;
use crate::template::Template;
use serde_json::Value;

const MAX_RULES: usize = 1_000;
const MAX_NESTING: usize = 16;

pub(super) fn mapping(spec: &MappingSpec, tables: &dyn Tables) -> Result<Mapping, Vec<SpecError>> {
    let mut compiler = Compiler {
        tables,
        errors: Vec::new(),
        roots: Vec::new(),
        targets: Vec::new(),
        items: Vec::new(),
        depth: 0,
    };
    let rules = compiler.rules(spec, "", "");
    if !compiler.errors.is_empty() {
        return Err(compiler.errors);
    }
    Ok(Mapping { rules, roots: compiler.roots, targets: compiler.targets })
}

struct Compiler<'a> {
    tables: &'a dyn Tables,
    errors: Vec<SpecError>,
    roots: Vec<String>,
    targets: Vec<String>,
    /// Names bound by the `each` around the present rule.
    items: Vec<String>,
    depth: usize,
}

impl Compiler<'_> {
    fn rules(&mut self, spec: &MappingSpec, path: &str, target: &str) -> Vec<Rule> {
        if spec.0.len() > MAX_RULES || self.depth > MAX_NESTING {
            self.refuse(path, format!("at most {MAX_RULES} rules, nested at most {MAX_NESTING} deep"));
            return Vec::new();
        }
        self.depth += 1;
        let mut unconditional: Vec<&str> = Vec::new();
        let mut rules = Vec::with_capacity(spec.0.len());
        for (index, rule) in spec.0.iter().enumerate() {
            let path = format!("{path}[{index}]");
            if rule.when.is_none() {
                if unconditional.contains(&rule.to.as_str()) {
                    self.refuse(
                        &format!("{path}.to"),
                        format!("`{}` has been set already by another rule", rule.to),
                    );
                }
                unconditional.push(&rule.to);
            }
            rules.extend(self.rule(rule, &path, target));
        }
        self.depth -= 1;
        rules
    }

    fn rule(&mut self, spec: &RuleSpec, path: &str, outer: &str) -> Option<Rule> {
        let to = self.checked(Target::parse(&spec.to).map_err(ExpressionError::new), path, "to");
        let when = spec.when.as_ref().and_then(|when| self.expression(when, path, "when"));
        let shown = to.as_ref().map_or("", Target::text);
        let target = join_path(outer, shown) + if spec.each.is_some() { "[]" } else { "" };
        let each = self.each(spec, path);
        let bound = self.items.len();
        if let Some(each) = &each {
            self.items.extend([each.item.clone(), "index".into()]);
        }
        let source = self.source(spec, path, &target);
        self.items.truncate(bound);
        let apply = self.apply(spec, path);
        if !matches!(source, Some(Source::Rules(_))) {
            self.targets.push(target);
        }
        Some(Rule {
            to: to?,
            each,
            source: source?,
            apply,
            default: spec.default.clone(),
            required: spec.required,
            when,
        })
    }

    fn each(&mut self, spec: &RuleSpec, path: &str) -> Option<Each> {
        if spec.each.is_none() && spec.item.is_some() {
            self.refuse(&format!("{path}.as"), "as names the element of each, which is missing");
        }
        let selector = self.selector(spec.each.as_ref()?, path, "each")?;
        let item = spec.item.clone().unwrap_or_else(|| "item".into());
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if item.is_empty() || item.starts_with(|c: char| c.is_ascii_digit()) || !item.chars().all(plain) {
            self.refuse(
                &format!("{path}.as"),
                "a name has ASCII letters, digits and _ and starts with a letter",
            );
        }
        Some(Each { selector, item })
    }

    fn source(&mut self, spec: &RuleSpec, path: &str, target: &str) -> Option<Source> {
        let given = [
            spec.from.is_some(),
            spec.value.is_some(),
            spec.cel.is_some(),
            spec.text.is_some(),
            spec.rules.is_some(),
        ];
        match given.iter().filter(|given| **given).count() {
            1 => {}
            0 => self.refuse(path, "a rule needs one of from, value, cel, text and rules"),
            _ => self.refuse(path, "a rule has only one of from, value, cel, text and rules"),
        }
        if let Some(from) = &spec.from {
            return self.selector(from, path, "from").map(Source::From);
        }
        if let Some(cel) = &spec.cel {
            return self.expression(cel, path, "cel").map(Source::Cel);
        }
        if let Some(text) = &spec.text {
            return self.template(text, path);
        }
        if let Some(rules) = &spec.rules {
            return Some(Source::Rules(self.rules(rules, &format!("{path}.rules"), target)));
        }
        spec.value.clone().map(Source::Value)
    }

    fn template(&mut self, text: &str, path: &str) -> Option<Source> {
        match Template::compile_with(&Value::from(text), self.tables) {
            Ok(template) => {
                self.add_roots(template.roots());
                Some(Source::Text(template))
            }
            Err(errors) => {
                for (_, error) in errors {
                    self.refuse(&format!("{path}.text"), error.message);
                }
                None
            }
        }
    }

    fn apply(&mut self, spec: &RuleSpec, path: &str) -> Vec<Applied> {
        let compiled = spec.apply.iter().map(|call| Applied::parse(call, self.tables)).collect::<Vec<_>>();
        let mut applied = Vec::with_capacity(compiled.len());
        for (index, result) in compiled.into_iter().enumerate() {
            applied.extend(self.checked(result, path, &format!("apply[{index}]")));
        }
        applied
    }

    fn selector(&mut self, text: &str, path: &str, key: &str) -> Option<Selector> {
        let selector = self.checked(Selector::parse(text), path, key)?;
        self.add_roots(selector.roots());
        Some(selector)
    }

    fn expression(&mut self, text: &str, path: &str, key: &str) -> Option<Expression> {
        let expression = self.checked(Expression::compile(text, self.tables), path, key)?;
        self.add_roots(expression.roots());
        Some(expression)
    }

    fn checked<T>(&mut self, result: Result<T, ExpressionError>, path: &str, key: &str) -> Option<T> {
        result.map_err(|error| self.refuse(&format!("{path}.{key}"), error.message)).ok()
    }

    fn add_roots(&mut self, roots: &[String]) {
        for root in roots {
            if !self.items.contains(root) && !self.roots.contains(root) {
                self.roots.push(root.clone());
            }
        }
    }

    fn refuse(&mut self, path: &str, message: impl Into<String>) {
        self.errors.push(SpecError::new(path, message));
    }
}
