//! `qiao mocks journal`: what the partners were asked and answered, a page, one entry whole, or as it comes.
use http::Method;
use qiao_mocks_client::{Entry, JournalQuery, TailEvent};
use serde_json::{Value, json};

use super::place::{Place, failed};
use crate::cli::{Failed, out::say, show};

#[derive(clap::Args)]
pub struct Journal {
    /// One entry whole: bodies, writes and, of a miss, why the nearest stubs did not answer
    #[arg(value_name = "ID")]
    id: Option<u64>,
    #[command(flatten)]
    filter: Filter,
    /// Entries older than this one: the last line of a page says which
    #[arg(long, value_name = "ID", conflicts_with_all = ["id", "follow"])]
    before: Option<u64>,
    /// Entries in a page, 500 at most
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// Show entries as they come, until interrupted
    #[arg(long, conflicts_with = "id")]
    follow: bool,
    /// With --follow: end after so many
    #[arg(long, value_name = "N", requires = "follow")]
    count: Option<u64>,
    /// Show personal data, which is masked otherwise
    #[arg(long)]
    raw: bool,
    #[command(flatten)]
    place: Place,
}

#[derive(clap::Args)]
struct Filter {
    #[arg(long, value_name = "ID")]
    partner: Option<String>,
    /// Empty for the common session
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Value of the partner's `select`
    #[arg(long)]
    item: Option<String>,
    /// Business key
    #[arg(long)]
    key: Option<String>,
    #[arg(long, value_name = "ID")]
    stub: Option<String>,
    #[arg(long)]
    caller: Option<String>,
    /// 32 hexadecimal digits
    #[arg(long, value_name = "ID")]
    trace: Option<String>,
    /// Only requests that no stub answered
    #[arg(long, conflicts_with = "matched")]
    miss: bool,
    /// Only requests that a stub answered
    #[arg(long)]
    matched: bool,
}

impl Filter {
    fn on(&self, mut query: JournalQuery) -> JournalQuery {
        let texts = [
            ("partner", &self.partner),
            ("session", &self.session),
            ("item", &self.item),
            ("key", &self.key),
            ("stub", &self.stub),
            ("caller", &self.caller),
            ("trace", &self.trace),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                query = query.only(name, value);
            }
        }
        match (self.miss, self.matched) {
            (true, _) => query.only("miss", true),
            (_, true) => query.only("miss", false),
            _ => query,
        }
    }
}

pub async fn run(arguments: &Journal) -> Result<(), Failed> {
    if let Some(id) = arguments.id {
        return one(arguments, id).await;
    }
    let mut query = arguments.filter.on(arguments.place.client()?.journal());
    if arguments.raw {
        query = query.raw();
    }
    if arguments.follow {
        return follow(arguments, &query).await;
    }
    query = query.limit(arguments.limit.into());
    if let Some(before) = arguments.before {
        query = query.before(before);
    }
    let page = query.page().await.map_err(failed)?;
    let next = page.next;
    arguments.place.show(&json!(page), |_| {
        let table = show::table(&HEAD, page.entries.iter().map(row).collect());
        next.map_or(table.clone(), |next| format!("{table}\nolder entries: --before {next}"))
    })
}

async fn follow(arguments: &Journal, query: &JournalQuery) -> Result<(), Failed> {
    let mut tail = query.tail().await.map_err(failed)?;
    let mut shown = 0;
    while arguments.count.is_none_or(|count| shown < count) {
        match tail.next().await.map_err(failed)? {
            None => return Err(Failed("the server has ended".to_owned())),
            Some(TailEvent::Dropped(missed)) => {
                return Err(Failed(format!(
                    "{missed} entries came faster than they could be shown: follow again, with a filter"
                )));
            }
            Some(TailEvent::Entry(entry)) if arguments.place.json => say!("{}", json!(entry)),
            Some(TailEvent::Entry(entry)) => say!("{}", row(&entry).join("  ")),
        }
        shown += 1;
    }
    Ok(())
}

const HEAD: [&str; 9] = ["ID", "TIME (UTC)", "PARTNER", "METHOD", "PATH", "ITEM", "KEY", "STUB", "STATUS"];

fn row(entry: &Entry) -> Vec<String> {
    let or_none = |text: &Option<String>| text.clone().unwrap_or_default();
    let stub = entry.stub.as_deref().map_or("- miss -", |label| {
        label.split('/').nth(1).and_then(|rest| rest.split('@').next()).unwrap_or(label)
    });
    let fault = entry.fault.as_ref().map(|fault| format!("  {fault}")).unwrap_or_default();
    vec![
        entry.id.to_string(),
        super::clock_time(entry.at_us),
        entry.partner.clone(),
        entry.method.clone(),
        entry.path.clone(),
        or_none(&entry.item),
        or_none(&entry.key),
        stub.to_owned(),
        format!("{}{fault}", entry.status),
    ]
}

async fn one(arguments: &Journal, id: u64) -> Result<(), Failed> {
    let path = format!("{}?raw={}", super::path(&["journal", &id.to_string()]), arguments.raw);
    let entry = arguments.place.ask(Method::GET, &path, &Value::Null).await?;
    arguments.place.show(&entry, |entry| {
        let field = |name: &str| super::text(&entry[name]);
        let stub = if entry["miss"] == true { "- miss -".to_owned() } else { field("stub") };
        let at = super::clock_time(entry["atUs"].as_i64().unwrap_or(0));
        let told = [
            ("item", "item"),
            ("key", "key"),
            ("session", "session"),
            ("caller", "caller"),
            ("traceparent", "trace"),
        ];
        let mut lines = vec![
            format!("entry    {id}  {at}  {}/{}", field("partner"), field("listener")),
            format!("request  {} {}", field("method"), field("path")),
            format!("stub     {stub}   status {}   {} µs", field("status"), field("tookUs")),
        ];
        lines.extend(Some(super::known(entry, &told)).filter(|told| !told.is_empty()));
        for (name, title) in [("fault", "fault    "), ("problem", "problem  ")] {
            lines.extend((!entry[name].is_null()).then(|| format!("{title}{}", field(name))));
        }
        if !entry["stateAfter"].is_null() {
            lines.push(format!("state    {} -> {}", field("stateBefore"), field("stateAfter")));
        }
        for (name, title) in [("request", "asked"), ("plain", "opened"), ("answer", "answered")] {
            if let Some(text) = entry[name]["text"].as_str().filter(|text| !text.is_empty()) {
                lines.push(format!("\n{title} ({} bytes)\n{text}", entry[name]["size"]));
            }
        }
        lines.extend(super::nearest(&entry["nearest"]));
        lines.join("\n")
    })
}
