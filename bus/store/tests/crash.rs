//! What survives when the process is killed or the disk refuses more: a child process records, the test looks at what it left.
use std::{
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::Duration,
};

use qiao_core::{CallId, CallRecord, RecordPolicy, Recorded, Recorder, Store};
use qiao_store::{Embedded, EmbeddedConfig, open_embedded};
use qiao_vault::{KeyChange, KeyStorage};
use tokio::task::JoinSet;

const LONG: Duration = Duration::from_secs(60);
/// Tells a child process which folder to record into.
const CHILD_FOLDER: &str = "QIAO_TEST_RECORD_INTO";

fn record() -> CallRecord {
    let span = serde_json::json!({
        "kind": "step", "name": "card.query", "start_us": 12, "duration_us": 700, "outcome": "ok", "note": "200 ok"
    });
    serde_json::from_value(serde_json::json!({
        "id": CallId::generate(), "interface": "card.query-status", "caller": "hotline", "plan": 1,
        "started_us": 1_790_000_000_000_000_i64, "duration_us": 812, "outcome": "ok", "status": 200,
        "bytes_in": 10, "bytes_out": 20, "spans": [span.clone(), span.clone(), span],
    }))
    .expect("a record")
}

fn open(folder: &Path) -> Embedded {
    let mut config = EmbeddedConfig::new(folder);
    config.recorder.segment_bytes = 256 << 10;
    open_embedded(config).expect("opens")
}

fn child_folder() -> Option<PathBuf> {
    std::env::var(CHILD_FOLDER).ok().map(PathBuf::from)
}

/// Tells the parent which calls were answered, past the test harness's capture.
fn report(line: &str) {
    let mut out = std::io::stdout().lock();
    out.write_all(format!("\n#{line}\n").as_bytes()).and_then(|()| out.flush()).expect("the parent reads");
}

fn reported(out: impl std::io::Read) -> impl Iterator<Item = String> {
    BufReader::new(out)
        .lines()
        .map_while(Result::ok)
        .filter_map(|line| line.strip_prefix('#').map(str::to_owned))
}

/// This test binary, running one test only.
fn itself(test: &str) -> (PathBuf, [String; 3]) {
    let binary = std::env::current_exe().expect("own path");
    (binary, ["--exact".to_owned(), test.to_owned(), "--nocapture".to_owned()])
}

fn spawn(mut command: Command, folder: &Path) -> Child {
    command.env(CHILD_FOLDER, folder).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("spawned")
}

async fn record_for_ever(folder: &Path) {
    let node = open(folder);
    let mut callers = JoinSet::new();
    for _ in 0..50 {
        let recorder = Arc::clone(&node.recorder);
        callers.spawn(async move {
            loop {
                let record = record();
                let id = record.id;
                assert_eq!(recorder.record(record).await, Recorded::Kept);
                report(&id.to_string());
            }
        });
    }
    callers.join_all().await;
}

#[tokio::test]
async fn every_record_answered_before_a_kill_is_found_after_it() {
    if let Some(folder) = child_folder() {
        return record_for_ever(&folder).await;
    }
    let folder = tempfile::tempdir().expect("folder");
    for round in 1..=3 {
        let (binary, arguments) = itself("every_record_answered_before_a_kill_is_found_after_it");
        let mut command = Command::new(binary);
        command.args(arguments);
        let mut child = spawn(command, folder.path());
        let mut lines = reported(child.stdout.take().expect("piped"));
        let mut ids: Vec<CallId> =
            lines.by_ref().take(2_000 * round).filter_map(|line| line.parse().ok()).collect();
        child.kill().expect("killed");
        child.wait().expect("ended");
        // A last line may be cut short by the kill; it then is no id.
        ids.extend(lines.filter_map(|line| line.parse::<CallId>().ok()));
        assert!(ids.len() >= 2_000 * round, "{} answered", ids.len());
        let node = open(folder.path());
        assert!(node.recorder.flush(LONG).await);
        for id in ids {
            assert!(
                node.store.call(id).await.expect("store").is_some(),
                "call {id} was answered and is gone"
            );
        }
        assert_eq!(node.recorder.counters().damaged, 0);
        assert!(node.recorder.close(LONG).await.shipped_all);
    }
}

async fn record_until_refused(folder: &Path) {
    let node = open(folder);
    for _ in 0..100_000 {
        let record = record();
        let id = record.id;
        if node.recorder.record(record).await == Recorded::Lost {
            let refused =
                node.recorder.admit(RecordPolicy::Strict).is_err_and(|fault| fault.code().number == 7001);
            report(if refused { "refused" } else { "admitted" });
            return;
        }
        report(&id.to_string());
    }
}

/// A file-size limit stands in for a full disk: the write that meets it is cut short, the next ones fail.
#[tokio::test]
async fn when_the_disk_takes_no_more_what_was_answered_stays_and_strict_calls_are_refused() {
    if let Some(folder) = child_folder() {
        return record_until_refused(&folder).await;
    }
    let folder = tempfile::tempdir().expect("folder");
    // Made before, so that the limit meets the log alone.
    assert!(open(folder.path()).close(LONG).await.shipped_all);
    let (binary, arguments) =
        itself("when_the_disk_takes_no_more_what_was_answered_stays_and_strict_calls_are_refused");
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$0\" \"$@\""]).arg(binary).args(arguments);
    let mut child = spawn(command, folder.path());
    let mut lines: Vec<String> = reported(child.stdout.take().expect("piped")).collect();
    child.wait().expect("ended");
    assert_eq!(lines.pop().as_deref(), Some("refused"));
    let ids: Vec<CallId> = lines.iter().filter_map(|line| line.parse().ok()).collect();
    assert!(ids.len() > 50, "{} answered", ids.len());
    let node = open(folder.path());
    assert!(node.recorder.flush(LONG).await);
    for id in ids {
        assert!(node.store.call(id).await.expect("store").is_some(), "call {id} was answered and is gone");
    }
    assert_eq!(node.recorder.counters().damaged, 0, "the part-written batch was cut off");
}

fn stored_key(version: u32) -> qiao_vault::StoredKey {
    let record = serde_json::json!({
        "name": "k", "version": version, "kind": "sm4", "purpose": "encrypt", "state": "active", "created": 0,
        "expires": null, "public": null, "sealed": "s".repeat(3000), "mac": format!("mac {version}"),
    });
    serde_json::from_value(record).expect("a record")
}

/// Each change inserts one version and replaces the one before: both or neither must be found.
fn change_keys_for_ever(file: &Path) {
    let storage = qiao_store::SqliteKeyStorage::new(file);
    let next = storage.keys().expect("keys").len() as u32 + 1;
    for version in next.. {
        let mut changes = vec![KeyChange::Insert(stored_key(version))];
        if version > 1 {
            let mut retired = stored_key(version - 1);
            let expected_mac = std::mem::replace(&mut retired.mac, format!("retired {}", version - 1));
            changes.push(KeyChange::Replace { expected_mac, new: retired });
        }
        storage.apply(&changes).expect("applied");
        report(&version.to_string());
    }
}

#[test]
fn every_key_change_that_returned_before_a_kill_is_whole_after_it() {
    if let Some(folder) = child_folder() {
        return change_keys_for_ever(&folder.join("vault.db"));
    }
    let folder = tempfile::tempdir().expect("folder");
    for round in 1..=5 {
        let (binary, arguments) = itself("every_key_change_that_returned_before_a_kill_is_whole_after_it");
        let mut command = Command::new(binary);
        command.args(arguments);
        let mut child = spawn(command, folder.path());
        let mut lines = reported(child.stdout.take().expect("piped"));
        let told = lines.by_ref().take(20).count();
        child.kill().expect("killed");
        child.wait().expect("ended");
        let last = lines.last().and_then(|line| line.parse::<usize>().ok()).unwrap_or(0);
        let keys =
            qiao_store::SqliteKeyStorage::new(folder.path().join("vault.db")).keys().expect("readable");
        assert_eq!(told, 20);
        assert!(keys.len() >= last.max(20 * round), "{} versions, {last} told", keys.len());
        let (newest, older) = keys.split_last().expect("versions");
        assert!(newest.mac.starts_with("mac"), "{}", newest.mac);
        assert!(older.iter().all(|key| key.mac.starts_with("retired")), "each change is whole");
    }
}
