//! What a folder of definitions may hold, and how what it may not hold is told.
use std::{fs, path::Path};

use super::*;

const TABLE: &str = "table: sex\ntitle: 性别\nentries: {男: \"1\"}\n";

fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().expect("a folder")).expect("folder");
    fs::write(file, text).expect("file");
}

/// The mistakes as lines, the temporary folder's name left out.
fn lines(folder: &Path, loaded: &Loaded) -> Vec<String> {
    let shown = format!("{}/", folder.display());
    loaded.mistakes.iter().map(|mistake| mistake.to_string().replace(&shown, "")).collect()
}

#[test]
fn the_definitions_of_this_project_are_read_without_mistakes() {
    let loaded = load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../routes"));
    assert_eq!(loaded.mistakes, []);
    assert!(loaded.definitions.interfaces.contains_key("permit.registration-upload"));
    let checked = crate::check::check(&loaded.definitions);
    let lines: Vec<String> = checked.mistakes.iter().map(|m| loaded.located(m).to_string()).collect();
    assert_eq!(lines, [""; 0]);
}

#[test]
fn a_file_is_read_by_its_folder_and_kept_under_its_id() {
    let folder = tempfile::tempdir().expect("folder");
    write(folder.path(), "tables/sex.yaml", TABLE);
    write(folder.path(), "tables/README.md", "notes");
    write(folder.path(), "tables/.hidden.yaml", "nonsense: [");
    write(folder.path(), ".git/config", "nonsense");
    write(folder.path(), "certificates/city.pem", "a certificate");
    let loaded = load(folder.path());
    assert_eq!(lines(folder.path(), &loaded), [""; 0]);
    assert_eq!(loaded.definitions.tables["sex"].title, "性别");
    assert!(loaded.definitions.has(Kind::Table, "sex") && !loaded.definitions.has(Kind::System, "sex"));
}

#[test]
fn what_does_not_belong_is_reported_all_at_once() {
    let folder = tempfile::tempdir().expect("folder");
    write(folder.path(), "tables/sex.yaml", TABLE);
    write(folder.path(), "tables/other.yaml", TABLE);
    write(folder.path(), "tables/old.yml", TABLE);
    write(folder.path(), "tables/deep/sex.yaml", TABLE);
    write(folder.path(), "sistems/x.yaml", "");
    write(folder.path(), "interfaces/query.yaml", "");
    write(folder.path(), "interfaces/a/b/query.yaml", "");
    write(folder.path(), "callers/broken.yaml", "caller: [\n");
    fs::write(folder.path().join("grants.yaml"), "").expect("file");
    fs::write(folder.path().join("tables/latin.yaml"), [0xff, 0xfe, 0x41]).expect("file");
    let loaded = load(folder.path());
    assert_eq!(
        lines(folder.path(), &loaded),
        [
            "callers/broken.yaml:2:1: caller[0]: not YAML: while parsing a node, did not find expected node content; is a closing `]` or `}` missing?",
            "grants.yaml:1:1: not in a folder of definitions; known here: systems, interfaces, callers, grants, tables",
            "interfaces/a/b:1:1: a folder too deep; definitions are at most in `interfaces/<provider>/`",
            "interfaces/query.yaml:1:1: an interface outside its provider's folder; move it to `interfaces/<provider>/<name>.yaml`",
            "sistems:1:1: not a folder of definitions; did you mean `systems`?",
            "tables/deep/sex.yaml:1:1: too deep for a table; move it to `tables/<id>.yaml`",
            "tables/latin.yaml:1:1: not UTF-8; save it as UTF-8",
            "tables/old.yml:1:1: not a definition; definitions end in `.yaml`",
            "tables/other.yaml:1:8: table: `sex` in the file of `other`; the id is the file's name; an interface's is `<folder>.<file>`",
        ]
    );
    assert!(loaded.definitions.is_unread(Kind::Caller, "broken"));
    assert!(loaded.definitions.tables.contains_key("sex"));
}

#[test]
fn a_folder_that_is_not_there_is_a_mistake_and_no_panic() {
    let loaded = load(Path::new("/nowhere/at/all"));
    assert_eq!(loaded.mistakes.len(), 1);
    assert!(loaded.mistakes[0].message.starts_with("cannot be read: "), "{}", loaded.mistakes[0]);
}

#[cfg(unix)]
#[test]
fn links_are_followed_within_the_folder_only() {
    let outside = tempfile::tempdir().expect("folder");
    write(outside.path(), "sex.yaml", TABLE);
    let folder = tempfile::tempdir().expect("folder");
    write(folder.path(), "tables/..data/sex.yaml", TABLE);
    let link = |to: &Path, at: &Path| std::os::unix::fs::symlink(to, at);
    link(Path::new("..data/sex.yaml"), &folder.path().join("tables/sex.yaml")).expect("link");
    link(&outside.path().join("sex.yaml"), &folder.path().join("tables/out.yaml")).expect("link");
    let loaded = load(folder.path());
    let shown = lines(folder.path(), &loaded);
    assert_eq!(shown, ["tables/out.yaml:1:1: a link that leads out of the folder; copy the file here"]);
    assert!(loaded.definitions.tables.contains_key("sex"));
}

#[test]
fn texts_of_a_release_are_read_like_files() {
    let files = [DefinitionFile { path: "tables/sex.yaml".into(), text: TABLE.replace("title", "titel") }];
    let loaded = load_texts(&files, "");
    let lines: Vec<String> = loaded.mistakes.iter().map(ToString::to_string).collect();
    assert_eq!(lines, ["tables/sex.yaml:2:1: titel: unknown key; did you mean `title`?"]);
}
