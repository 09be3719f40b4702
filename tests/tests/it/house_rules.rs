//! The house rules as tests: a rule without a test does not hold.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Folder of a crate, its name, and the crates of the workspace it may use.
const DIRECTION: &[(&str, &str, &[&str])] = &[
    ("bus/core", "qiao-core", &[]),
    ("vault", "qiao-vault", &["gm-sys", "qiao-sdf", "qiao-softdevice"]),
    ("vault/sdf", "qiao-sdf", &[]),
    ("vault/sdf/device", "qiao-softdevice", &["qiao-sdf"]),
    ("mappings", "qiao-mappings", &["qiao-vault"]),
    ("connectors/wire", "qiao-wire", &["qiao-mappings"]),
    ("connectors", "qiao-connectors", &["qiao-core", "qiao-mappings", "qiao-vault", "qiao-wire"]),
    ("bus/engine", "qiao-engine", &["qiao-core", "qiao-mappings", "qiao-vault"]),
    ("bus/store", "qiao-store", &["qiao-core", "qiao-vault"]),
    ("mocks/client", "qiao-mocks-client", &[]),
    // The client only in tests.
    ("mocks", "qiao-mocks", &["qiao-core", "qiao-mappings", "qiao-vault", "qiao-wire", "qiao-mocks-client"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("tests/ is in the workspace").to_owned()
}

fn files(folder: &Path, ending: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name();
        let skipped = ["target", "node_modules", "dist"].iter().any(|skipped| name == *skipped);
        if path.is_dir() && !skipped && !name.to_string_lossy().starts_with('.') {
            files(&path, ending, found);
        } else if path.extension().is_some_and(|found| found == ending) {
            found.push(path);
        }
    }
}

fn rust_files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    files(&root(), "rs", &mut found);
    assert!(found.len() > 50, "only {} Rust files were found", found.len());
    found
}

fn offenders(rule: impl Fn(&Path, &str) -> bool) -> Vec<String> {
    let read = |path: PathBuf| {
        let text = fs::read_to_string(&path).expect("readable");
        (!rule(&path, &text)).then(|| path.strip_prefix(root()).unwrap_or(&path).display().to_string())
    };
    rust_files().into_iter().filter_map(read).collect()
}

#[test]
fn crates_use_only_the_crates_below_them() {
    let ours: BTreeSet<&str> = DIRECTION.iter().map(|(_, name, _)| *name).chain(["gm-sys"]).collect();
    for (folder, name, may_use) in DIRECTION {
        let manifest = fs::read_to_string(root().join(folder).join("Cargo.toml")).expect("a manifest");
        assert!(manifest.contains(&format!("name = \"{name}\"")), "{folder} is not {name}");
        let used: Vec<&str> = manifest
            .lines()
            .filter_map(|line| line.split(['=', '.']).next().map(str::trim))
            .filter(|dependency| ours.contains(dependency))
            .collect();
        let wrong: Vec<_> = used.iter().filter(|used| !may_use.contains(used)).collect();
        assert!(wrong.is_empty(), "{name} may not use {wrong:?}; the direction is in ARCHITECTURE.md");
    }
}

#[test]
fn every_file_says_in_its_first_line_what_it_is() {
    let wrong = offenders(|_, text| text.starts_with("//! "));
    assert!(wrong.is_empty(), "first line is not `//! …` in {wrong:#?}");
}

#[test]
fn no_file_is_longer_than_500_lines() {
    let wrong = offenders(|_, text| text.lines().count() <= 500);
    assert!(wrong.is_empty(), "longer than 500 lines, so two things in one: {wrong:#?}");
}

#[test]
fn modules_stand_beside_their_folder() {
    let wrong = offenders(|path, _| path.file_name().is_none_or(|name| name != "mod.rs"));
    assert!(wrong.is_empty(), "`x.rs` beside `x/`, no mod.rs: {wrong:#?}");
}

#[test]
fn names_of_tests_are_sentences_without_a_prefix() {
    let wrong = offenders(|_, text| !text.contains(concat!("fn ", "test_")));
    assert!(wrong.is_empty(), "a test is named by what it shows: {wrong:#?}");
}

#[test]
fn every_fault_code_has_an_operator_page_and_every_page_a_code() {
    let table = fs::read_to_string(root().join("bus/core/src/fault_codes.rs")).expect("the table");
    let mut codes = BTreeMap::new();
    for line in
        table.lines().filter(|line| line.starts_with("    ") && line.contains(" = ") && line.ends_with(';'))
    {
        let number = line.split(" = ").nth(1).and_then(|rest| rest.split(',').next());
        let name = line.split('"').nth(1);
        if let (Some(number), Some(name)) = (number, name) {
            codes.insert(format!("QIAO-{number:0>4}"), name.to_owned());
        }
    }
    assert!(codes.len() > 30, "the table was not understood: {codes:?}");
    let index = fs::read_to_string(root().join("docs/faults/README.md")).expect("an index");
    for (code, name) in &codes {
        let page = fs::read_to_string(root().join(format!("docs/faults/{code}.md"))).unwrap_or_default();
        assert!(
            page.starts_with(&format!("# {code} {name}\n")),
            "docs/faults/{code}.md is missing or has another head"
        );
        for section in ["## What it means", "## What to check", "## Whom to call"] {
            assert!(page.contains(section), "docs/faults/{code}.md lacks `{section}`");
        }
        assert!(
            index.contains(&format!("[{code}]({code}.md) | {name} |")),
            "docs/faults/README.md lacks {code}"
        );
    }
    let pages = fs::read_dir(root().join("docs/faults")).expect("pages").flatten();
    for page in pages.map(|page| page.file_name().to_string_lossy().into_owned()) {
        let code = page.trim_end_matches(".md");
        assert!(page == "README.md" || codes.contains_key(code), "docs/faults/{page} has no code");
    }
}

#[test]
fn every_test_that_the_security_page_names_exists() {
    let page = fs::read_to_string(root().join("docs/security.md")).expect("the page");
    let code: String = rust_files().iter().map(|file| fs::read_to_string(file).expect("readable")).collect();
    let is_test = |word: &str| {
        word.matches('_').count() >= 3 && word.bytes().all(|b| b == b'_' || b.is_ascii_lowercase())
    };
    let named: BTreeSet<&str> = page.split('`').skip(1).step_by(2).filter(|word| is_test(word)).collect();
    assert!(named.len() > 15, "the page was not understood: {named:?}");
    let gone: Vec<_> = named.iter().filter(|name| !code.contains(&format!("fn {name}("))).collect();
    assert!(gone.is_empty(), "docs/security.md names tests that are not there: {gone:?}");
}

#[test]
fn every_link_between_documents_leads_somewhere() {
    let mut pages = Vec::new();
    files(&root(), "md", &mut pages);
    for page in pages {
        let text = fs::read_to_string(&page).expect("readable");
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap_or_default();
            let elsewhere = target.is_empty() || target.contains("://") || target.contains(' ');
            let there = page.parent().is_some_and(|folder| folder.join(target).exists());
            assert!(elsewhere || there, "{} links to {link}, which is not there", page.display());
        }
    }
}
