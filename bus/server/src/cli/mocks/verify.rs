//! `qiao mocks verify` and `score`: was it asked as it should have been? Exit code 1 says no.
use http::Method;
use serde_json::{Map, Value};

use super::place::{Place, failed};
use crate::cli::{Failed, out::say, show};

#[derive(clap::Args)]
#[command(after_help = "qiao mocks verify --partner card --item LOSS --count 1 --within 10s
qiao mocks verify --partner card --stub loss --that '$.request.idNo=310101199003074511' --count 1 --nothing-else
qiao mocks verify verification.yaml")]
pub struct Verify {
    /// The whole verification in YAML or JSON, - for standard input (docs/mocks-testing.md)
    #[arg(value_name = "FILE|-", conflicts_with = "said")]
    file: Option<String>,
    #[command(flatten)]
    said: Said,
    /// Show personal data in the nearest misses, which is masked otherwise
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Args)]
#[group(id = "said", multiple = true)]
struct Said {
    #[arg(long, value_name = "ID")]
    partner: Option<String>,
    /// Empty for the common session; all when left out
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Only entries from this id on
    #[arg(long, value_name = "ID")]
    since: Option<u64>,
    /// Value of the partner's `select`
    #[arg(long)]
    item: Option<String>,
    /// The stub that answered
    #[arg(long, value_name = "ID")]
    stub: Option<String>,
    /// Business key
    #[arg(long)]
    key: Option<String>,
    /// Status of the answer
    #[arg(long)]
    status: Option<u16>,
    /// 32 hexadecimal digits
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    /// A place in the request and its value; may be given several times
    #[arg(long = "that", value_name = "JSONPATH=VALUE", value_parser = that)]
    that: Vec<(String, String)>,
    /// Only requests that no stub answered
    #[arg(long)]
    miss: bool,
    /// Exactly as many
    #[arg(long, value_name = "N", conflicts_with_all = ["min", "max"])]
    count: Option<u64>,
    /// At least as many; one when neither --count nor --max is given
    #[arg(long, value_name = "N")]
    min: Option<u64>,
    /// At most as many
    #[arg(long, value_name = "N")]
    max: Option<u64>,
    /// Nothing else came
    #[arg(long)]
    nothing_else: bool,
    /// Wait for it, 60s at most
    #[arg(long, value_name = "TIME")]
    within: Option<String>,
    /// And then for nothing that breaks it
    #[arg(long, value_name = "TIME")]
    quiet: Option<String>,
}

fn that(text: &str) -> Result<(String, String), String> {
    let (place, value) = text.split_once('=').ok_or("write it as $.request.idNo=value")?;
    Ok((place.trim().to_owned(), value.to_owned()))
}

impl Said {
    fn spec(&self) -> Value {
        let text = |value: &Option<String>| value.clone().map(Value::from);
        let mut when = Map::new();
        let members = [
            ("item", text(&self.item)),
            ("stub", text(&self.stub)),
            ("key", text(&self.key)),
            ("status", self.status.map(Value::from)),
            ("trace", text(&self.trace)),
            ("miss", self.miss.then(|| true.into())),
        ];
        members.into_iter().for_each(|(name, value)| put(&mut when, name, value));
        let that = |(place, value): &(String, String)| serde_json::json!({"json": place, "equals": value});
        if !self.that.is_empty() {
            put(&mut when, "all", Some(self.that.iter().map(that).collect()));
        }
        let mut spec = Map::new();
        let members = [
            ("session", text(&self.session)),
            ("partner", text(&self.partner)),
            ("since", self.since.map(Value::from)),
            ("when", Some(when.into())),
            ("count", self.count.map(Value::from)),
            ("min", self.min.map(Value::from)),
            ("max", self.max.map(Value::from)),
            ("nothingElse", self.nothing_else.then(|| true.into())),
            ("within", text(&self.within)),
            ("quiet", text(&self.quiet)),
        ];
        members.into_iter().for_each(|(name, value)| put(&mut spec, name, value));
        spec.into()
    }
}

fn put(members: &mut Map<String, Value>, name: &str, value: Option<Value>) {
    members.extend(value.map(|value| (name.to_owned(), value)));
}

pub async fn run(arguments: &Verify) -> Result<(), Failed> {
    let spec = match &arguments.file {
        Some(file) => super::input(file)?,
        None => arguments.said.spec().to_string(),
    };
    let path = format!("/api/mocks/verify?raw={}", arguments.raw);
    // The server reads JSON as YAML, strictly, and names the line of a mistake.
    let client = arguments.place.client()?;
    let answer = client.send(Method::POST, &path, "application/yaml", spec).await.map_err(failed)?;
    let verified: qiao_mocks_client::Verified = answer.read().map_err(failed)?;
    if arguments.place.json {
        say!("{}", serde_json::to_string_pretty(&verified)?);
    } else {
        say!("{verified}");
    }
    if verified.ok { Ok(()) } else { Err(Failed(String::new())) }
}

#[derive(clap::Args)]
pub struct Score {
    /// What is scored and against what, in YAML or JSON, - for standard input (docs/mocks-testing.md)
    #[arg(value_name = "FILE|-", conflicts_with_all = ["session", "pack"], required_unless_present_any = ["session", "pack"])]
    file: Option<String>,
    /// The messages of this session, against its pack unless another is given
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Against this pack's standard messages
    #[arg(long, value_name = "ID")]
    pack: Option<String>,
    /// Show personal data, which is masked otherwise
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    place: Place,
}

pub async fn score(arguments: &Score) -> Result<(), Failed> {
    let spec = match &arguments.file {
        Some(file) => super::input(file)?,
        None => {
            let mut spec = Map::new();
            put(&mut spec, "session", arguments.session.clone().map(Value::from));
            put(&mut spec, "pack", arguments.pack.clone().map(Value::from));
            Value::from(spec).to_string()
        }
    };
    let path = format!("/api/mocks/score?raw={}", arguments.raw);
    let client = arguments.place.client()?;
    let answer = client.send(Method::POST, &path, "application/yaml", spec).await.map_err(failed)?;
    let scored: Value = answer.read().map_err(failed)?;
    arguments.place.show(&scored, |scored| {
        let rows = scored["messages"].as_array().into_iter().flatten().flat_map(|message| {
            let of =
                |part: &Value| format!("{} of {}", super::text(&part["points"]), super::text(&part["of"]));
            let head = vec![super::text(&message["template"]), String::new(), String::new(), of(message)];
            let fields = super::rows(&message["fields"], |field| {
                vec![
                    format!("  {}", super::text(&field["field"])),
                    super::text(&field["wanted"]),
                    super::text(&field["seen"]),
                    of(field),
                ]
            });
            std::iter::once(head).chain(fields)
        });
        let table = show::table(&["MESSAGE", "WANTED", "SEEN", "POINTS"], rows.collect());
        let total = &scored["total"];
        format!(
            "{table}\n{} of {} points, {} %",
            super::text(&total["points"]),
            super::text(&total["of"]),
            super::text(&total["percent"])
        )
    })
}
