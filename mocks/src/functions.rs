//! The functions that mock templates have beside those of mappings: identifiers, synthetic people, table rows.
use std::{
    collections::HashMap,
    sync::{Arc, LazyLock},
};

use qiao_mappings::{Functions, KnownExpressions, ScopeFunctions, Table, Tables};
use serde_json::Value;

use crate::{entropy::Entropy, generate, partner::Partner, table::DataTable, tables::SharedTables};

/// Name, form and meaning of every function.
pub const FUNCTIONS: &[(&str, &str, &str)] = &[
    ("seq", "seq(prefix, digits)", "The prefix and that many digits, 1 to 18."),
    ("uuid", "uuid()", "A version 4 UUID."),
    (
        "table",
        "table(name, key)",
        "The row of a table of the partner, or of a shared one such as city.cards, by its first column, null where there is none.",
    ),
    (
        "lookup",
        "lookup(name, column, value)",
        "The rows of a shared table with that value in an indexed column, in the order of keys, 100 at most.",
    ),
    ("pick", "pick(list)", "One element of a list."),
    ("randomInt", "randomInt(low, high)", "A whole number, both bounds included."),
    ("cnIdNo", "cnIdNo()", "A resident identity number valid by GB 11643."),
    ("cnName", "cnName()", "A Chinese name, sometimes with rare characters."),
    ("cnPhone", "cnPhone()", "A mobile number."),
    ("cnCardNo", "cnCardNo()", "A bank card number with its Luhn digit."),
    ("cnAddress", "cnAddress()", "An address in Shanghai."),
];

/// What templates are compiled against: these functions, and no code tables.
#[derive(Default)]
pub struct Environment {
    /// Those of one partner: hundreds of its stubs say the same.
    known: KnownExpressions,
}

static DECLARED: LazyLock<Functions> = LazyLock::new(|| {
    let declared = Functions::declare(FUNCTIONS.iter().map(|(name, ..)| *name));
    declared.expect("CEL itself has no function of these names, which a test checks")
});

impl Tables for Environment {
    fn table(&self, _: &str) -> Option<&Table> {
        None
    }

    fn expressions(&self) -> Option<&KnownExpressions> {
        Some(&self.known)
    }

    fn functions(&self) -> Option<&Functions> {
        Some(&DECLARED)
    }
}

/// What conditions are compiled against: `table` alone, over the partner's own tables.
pub struct Looking;

static LOOKING: LazyLock<Functions> = LazyLock::new(|| {
    Functions::declare(["table"]).expect("CEL itself has no function of this name, which a test checks")
});

impl Tables for Looking {
    fn table(&self, _: &str) -> Option<&Table> {
        None
    }

    fn functions(&self) -> Option<&Functions> {
        Some(&LOOKING)
    }
}

/// The partner's own tables, for conditions.
pub struct OwnTables(pub Arc<HashMap<String, DataTable>>);

impl ScopeFunctions for OwnTables {
    fn call(&self, _: &str, arguments: &[Value]) -> Result<Value, String> {
        let [Value::String(table), key] = arguments else { return Err("is written table(name, key)".into()) };
        let table = self.0.get(table).ok_or("conditions look into the partner's own tables only")?;
        let key = crate::matching::memo::scalar(key).ok_or("a key is text or a number")?;
        Ok(table.row(&key).cloned().unwrap_or(Value::Null))
    }
}

/// The functions of one answer: its random values and its partner's tables.
pub struct Draws {
    pub entropy: Entropy,
    pub tables: Arc<HashMap<String, DataTable>>,
    pub shared: Arc<SharedTables>,
    /// Whose writing is seen.
    pub session: Box<str>,
}

/// What the random values of an answer come from.
#[derive(Clone, Copy)]
pub struct Luck<'a> {
    pub partner: &'a Partner,
    pub session: &'a str,
    /// Empty for a miss.
    pub stub: &'a str,
    /// The business key, empty without one.
    pub key: &'a str,
    /// How often the key was asked.
    pub count: u64,
}

impl Luck<'_> {
    pub fn entropy(&self) -> Entropy {
        let parts = [self.session, &self.partner.id, self.stub, self.key].map(str::as_bytes);
        Entropy::of(self.partner.seed, &parts, self.count)
    }

    pub fn draws(&self) -> Draws {
        Draws {
            entropy: self.entropy(),
            tables: Arc::clone(&self.partner.tables),
            shared: Arc::clone(&self.partner.shared),
            session: self.session.into(),
        }
    }
}

impl Draws {
    fn row(&self, table: &str, key: &Value) -> Result<Value, String> {
        let key = crate::matching::memo::scalar(key).ok_or("a key is text or a number")?;
        let row = match self.tables.get(table) {
            Some(own) => own.row(&key).cloned(),
            None => self.shared.view().row(&self.session, table, &key)?.map(Value::Object),
        };
        Ok(row.unwrap_or(Value::Null))
    }

    fn rows(&self, table: &str, column: &str, value: &Value) -> Result<Value, String> {
        let value = crate::matching::memo::scalar(value).ok_or("a value is text or a number")?;
        let found = self.shared.view().find(&self.session, table, column, &value)?;
        Ok(found.into_iter().map(Value::Object).collect())
    }
}

impl ScopeFunctions for Draws {
    fn call(&self, name: &str, arguments: &[Value]) -> Result<Value, String> {
        let entropy = &self.entropy;
        match (name, arguments) {
            ("seq", [Value::String(prefix), digits]) => {
                let digits = digits.as_u64().and_then(|digits| u32::try_from(digits).ok());
                let digits =
                    digits.filter(|digits| (1..=18).contains(digits)).ok_or("takes 1 to 18 digits")?;
                Ok(generate::serial(entropy, prefix, digits).into())
            }
            ("uuid", []) => Ok(generate::uuid(entropy).into()),
            ("table", [Value::String(table), key]) => self.row(table, key),
            ("lookup", [Value::String(table), Value::String(column), value]) => {
                self.rows(table, column, value)
            }
            ("pick", [Value::Array(list)]) if !list.is_empty() => Ok(list[entropy.index(list.len())].clone()),
            ("randomInt", [low, high]) => match (low.as_i64(), high.as_i64()) {
                (Some(low), Some(high)) if low <= high => Ok(entropy.between(low, high).into()),
                _ => Err("takes two whole numbers, the lower first".into()),
            },
            ("cnIdNo", []) => Ok(generate::id_number(entropy).into()),
            ("cnName", []) => Ok(generate::name(entropy).into()),
            ("cnPhone", []) => Ok(generate::phone(entropy).into()),
            ("cnCardNo", []) => Ok(generate::card_number(entropy).into()),
            ("cnAddress", []) => Ok(generate::address(entropy).into()),
            _ => {
                let form =
                    FUNCTIONS.iter().find(|(known, ..)| *known == name).map_or(name, |(_, form, _)| form);
                Err(format!("is written {form}"))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qiao_mappings::{Expression, Scope};
    use serde_json::json;

    struct Answer(Arc<Draws>);

    impl Scope for Answer {
        fn get(&self, _: &str) -> Option<&Value> {
            None
        }

        fn functions(&self) -> Option<Arc<dyn ScopeFunctions>> {
            Some(self.0.clone())
        }
    }

    fn eval(text: &str) -> Result<Value, String> {
        let people = DataTable::parse("id,name\n1,张三").expect("a table");
        let tables = Arc::new(HashMap::from([("people".to_owned(), people)]));
        let expression =
            Expression::compile(text, &Environment::default()).map_err(|error| error.to_string())?;
        let draws = Draws {
            entropy: Entropy::of(1, &[b"x"], 1),
            tables,
            shared: SharedTables::of(
                serde_json::from_value(json!({"city": "v1", "seed": 1, "citizens": 50})).ok(),
                &Arc::default(),
            ),
            session: "".into(),
        };
        expression.eval(&Answer(Arc::new(draws))).map_err(|error| error.to_string())
    }

    #[test]
    fn every_function_is_declared_and_runs() {
        for call in [
            "seq('EMS', 10)",
            "uuid()",
            "pick(['a'])",
            "randomInt(3, 3)",
            "cnIdNo()",
            "cnName()",
            "cnPhone()",
            "cnCardNo()",
            "cnAddress()",
        ] {
            assert!(eval(call).is_ok(), "{call}: {:?}", eval(call));
        }
        assert_eq!(eval("table('people', 1).name"), Ok(json!("张三")));
        assert_eq!(eval("table('people', '2')"), Ok(Value::Null));
    }

    #[test]
    fn a_wrong_call_says_how_the_function_is_written() {
        assert!(eval("seq('EMS', 30)").expect_err("too wide").contains("1 to 18 digits"));
        assert!(eval("uuid(1)").expect_err("an argument").contains("uuid()"));
        assert!(eval("table('nobody', 1)").expect_err("no table").contains("no table `nobody`"));
    }
}
