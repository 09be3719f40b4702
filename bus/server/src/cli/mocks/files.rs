//! `qiao mocks stubs`, `validate` and `export`: the partners' files, as they are in effect and as they would be.
use std::{
    fs,
    path::{Component, Path, PathBuf},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use http::Method;
use serde_json::{Map, Value, json};

use super::place::Place;
use crate::cli::{Failed, out::say, show};

/// Bytes of a partner's files at most, as the API takes them.
const MOST: u64 = 12 << 20;

#[derive(clap::Args)]
pub struct Stubs {
    partner: String,
    /// Part of the id, title, item or path
    #[arg(value_name = "WORDS")]
    words: Option<String>,
    #[arg(long)]
    item: Option<String>,
    #[arg(long)]
    method: Option<String>,
    /// Those that an open session lays over the partner
    #[arg(long, value_name = "NAME")]
    session: Option<String>,
    /// Stubs that are tried after this one
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Stubs in a page, 1000 at most
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u16).range(1..=1000))]
    limit: u16,
    #[command(flatten)]
    place: Place,
}

pub async fn stubs(arguments: &Stubs) -> Result<(), Failed> {
    let asked = [
        ("q", arguments.words.clone()),
        ("item", arguments.item.clone()),
        ("method", arguments.method.clone()),
        ("session", arguments.session.clone()),
        ("after", arguments.after.clone()),
        ("limit", Some(arguments.limit.to_string())),
    ];
    let path = qiao_mocks_client::asking(super::path(&["partners", &arguments.partner, "stubs"]), &asked);
    let found = arguments.place.ask(Method::GET, &path, &Value::Null).await?;
    arguments.place.show(&found, |found| {
        let row = |stub: &Value| {
            ["id", "title", "listener", "item", "method", "path"].map(|name| super::text(&stub[name])).into()
        };
        let head = ["STUB", "TITLE", "LISTENER", "ITEM", "METHOD", "PATH"];
        let table = show::table(&head, super::rows(&found["stubs"], row));
        found["next"].as_str().map_or(table.clone(), |next| format!("{table}\nmore: --after {next}"))
    })
}

#[derive(clap::Args)]
pub struct Validate {
    /// A partner's folder; or one of its files, laid over those of the partner that is served
    path: PathBuf,
    /// The partner; that of the folder's name when left out
    #[arg(long, value_name = "ID")]
    partner: Option<String>,
    #[command(flatten)]
    place: Place,
}

pub async fn validate(arguments: &Validate) -> Result<(), Failed> {
    let path = fs::canonicalize(&arguments.path)
        .map_err(|error| Failed(format!("{}: {error}", arguments.path.display())))?;
    let is_folder = path.is_dir();
    let home = if is_folder { path.clone() } else { home_of(&path) };
    let name = home.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let partner = arguments.partner.clone().unwrap_or(name);
    let mut files = Map::new();
    let mut left = MOST;
    if is_folder {
        read(&home, &home, &mut files, &mut left)?;
    } else {
        take(&home, &path, &mut files, &mut left)?;
    }
    let given = json!({"partner": partner, "files": files});
    let checked = arguments.place.ask(Method::POST, "/api/mocks/validate", &given).await?;
    arguments.place.show(&checked, |checked| {
        let mut lines: Vec<String> =
            checked["mistakes"].as_array().into_iter().flatten().map(super::mistake).collect();
        let unused = checked["unused"].as_array().into_iter().flatten();
        lines.extend(unused.map(|name| format!("note: nothing refers to {}", super::text(name))));
        match checked["ok"] == true {
            true => lines.push(format!("{partner}: {} stubs, no mistake", checked["stubs"])),
            false => lines.push(format!(
                "{partner}: {} mistake(s)",
                checked["mistakes"].as_array().map_or(0, Vec::len)
            )),
        }
        lines.join("\n")
    })?;
    if checked["ok"] == true { Ok(()) } else { Err(Failed(String::new())) }
}

/// The partner's folder that a file lies in: above `stubs`, `tables` and the like.
fn home_of(file: &Path) -> PathBuf {
    let parents = || file.ancestors().skip(1);
    let home = parents().take(3).find(|folder| folder.join("partner.yaml").is_file());
    home.or(parents().next()).unwrap_or(Path::new("")).to_owned()
}

fn read(home: &Path, folder: &Path, files: &mut Map<String, Value>, left: &mut u64) -> Result<(), Failed> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        if path.is_symlink() || hidden {
            continue;
        }
        if path.is_dir() {
            read(home, &path, files, left)?;
        } else {
            take(home, &path, files, left)?;
        }
    }
    Ok(())
}

fn take(home: &Path, path: &Path, files: &mut Map<String, Value>, left: &mut u64) -> Result<(), Failed> {
    let failed = |error: std::io::Error| Failed(format!("{}: {error}", path.display()));
    let size = fs::metadata(path).map_err(failed)?.len();
    *left = left.checked_sub(size).ok_or_else(|| {
        Failed(format!("{}: more than 12 MiB: check it where it lies, with `qiao check`", home.display()))
    })?;
    let bytes = fs::read(path).map_err(failed)?;
    let name = path.strip_prefix(home).unwrap_or(path).to_string_lossy().replace('\\', "/");
    let file = String::from_utf8(bytes)
        .map_or_else(|wrong| json!({"base64": STANDARD.encode(wrong.as_bytes())}), Value::from);
    files.insert(name, file);
    Ok(())
}

#[derive(clap::Args)]
pub struct Export {
    partner: String,
    /// Write the files into this folder, which must be empty or not be there; without it they are listed
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    place: Place,
}

pub async fn export(arguments: &Export) -> Result<(), Failed> {
    let path = super::path(&["partners", &arguments.partner, "export"]);
    let found = arguments.place.ask(Method::GET, &path, &Value::Null).await?;
    if let Some(out) = &arguments.out {
        write(out, &found)?;
    }
    arguments.place.show(&found, |found| {
        let files = found["files"].as_object().into_iter().flatten();
        let size = |file: &Value| {
            file.as_str().map_or("not text".to_owned(), |text| format!("{} bytes", text.len()))
        };
        let rows = files.map(|(name, file)| vec![name.clone(), size(file)]);
        let withheld =
            super::rows(&found["withheld"], |name| vec![super::text(name), "private, not given".to_owned()]);
        show::table(&["FILE", ""], rows.chain(withheld).collect())
    })?;
    if let Some(out) = &arguments.out.as_ref().filter(|_| !arguments.place.json) {
        say!("written to {}", out.display());
    }
    Ok(())
}

fn write(out: &Path, found: &Value) -> Result<(), Failed> {
    let failed = |path: &Path, error: &dyn std::fmt::Display| Failed(format!("{}: {error}", path.display()));
    if fs::read_dir(out).is_ok_and(|mut entries| entries.next().is_some()) {
        return Err(failed(out, &"is not empty: give a new folder"));
    }
    for (name, file) in found["files"].as_object().into_iter().flatten() {
        let relative = Path::new(name);
        if !relative.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(failed(relative, &"the server names a file outside of the folder"));
        }
        let bytes = match (file.as_str(), file["base64"].as_str()) {
            (Some(text), _) => text.as_bytes().to_vec(),
            (None, Some(base64)) => STANDARD.decode(base64).map_err(|error| failed(relative, &error))?,
            (None, None) => return Err(failed(relative, &"is neither a text nor Base64")),
        };
        let path = out.join(relative);
        let parent = path.parent().unwrap_or(out);
        fs::create_dir_all(parent).map_err(|error| failed(parent, &error))?;
        fs::write(&path, bytes).map_err(|error| failed(&path, &error))?;
    }
    Ok(())
}
