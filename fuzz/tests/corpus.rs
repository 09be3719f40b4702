//! Replays the corpus: every input that fuzzing kept, and every seed, through the same functions, without the fuzzer.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
use qiao_fuzz::{TARGETS, find};
use std::{collections::BTreeSet, fs, path::Path};

fn corpus() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

#[test]
fn every_target_takes_its_corpus_and_the_others() {
    let mut inputs = Vec::new();
    for target in TARGETS {
        let folder = corpus().join(target.name);
        let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let own: Vec<_> = files.map(|file| fs::read(file.unwrap().path()).unwrap()).collect();
        assert!(!own.is_empty(), "{} has no seed", target.name);
        own.iter().for_each(|input| (target.run)(input));
        inputs.extend(own);
    }
    for target in TARGETS {
        inputs.iter().for_each(|input| (target.run)(input));
        (target.run)(b"");
    }
}

#[test]
fn every_folder_of_the_corpus_is_of_a_target() {
    let names: BTreeSet<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names.len(), TARGETS.len());
    for folder in fs::read_dir(corpus()).unwrap() {
        let name = folder.unwrap().file_name();
        find(name.to_str().unwrap()).map(drop).unwrap();
    }
    assert!(find("nonesuch").is_err());
}
