//! Tests of the audit: what was altered, taken out, put in or moved is found and named, in the index and in the log.
use std::{fs, sync::Arc, time::Duration};

use qiao_core::{CallRecord, Recorded, Recorder};
use rusqlite::Connection;

use super::*;
use crate::{
    Embedded, EmbeddedConfig, chain,
    log::{frame, segment},
    open_embedded,
    testing::sample,
};

const LONG: Duration = Duration::from_secs(60);

struct Kept {
    folder: tempfile::TempDir,
    ids: Vec<CallId>,
    _vault: qiao_vault::Vault,
}

fn open(folder: &Path, key: &chain::CheckpointKey) -> Embedded {
    let mut config = EmbeddedConfig::new(folder);
    config.recorder.checkpoints = Some(key.clone());
    config.recorder.sync_every = Duration::from_secs(60);
    open_embedded(config).expect("opens")
}

fn record() -> CallRecord {
    sample(CallId::generate())
}

/// Two runs of a node, five records each, all shipped.
async fn kept() -> Kept {
    let folder = tempfile::tempdir().expect("folder");
    let (vault, _, key) = chain::tests::key();
    let mut ids = Vec::new();
    for _ in 0..2 {
        let node = open(folder.path(), &key);
        for _ in 0..5 {
            let record = record();
            ids.push(record.id);
            assert_eq!(node.recorder.record(record).await, Recorded::Kept);
        }
        assert!(node.close(LONG).await.shipped_all);
    }
    Kept { folder, ids, _vault: vault }
}

fn anybody(_: &Checkpoint) -> Result<(), String> {
    Ok(())
}

impl Kept {
    fn audit(&self) -> Audit {
        verify(self.folder.path(), None, &anybody).expect("readable")
    }

    fn finding(&self) -> Finding {
        self.audit().finding.expect("a finding")
    }

    fn sql(&self, sql: &str) {
        let index = Connection::open(self.folder.path().join("calls.db")).expect("database");
        index.execute_batch(sql).expect(sql);
    }
}

#[tokio::test]
async fn an_untouched_log_holds_over_restarts_with_every_record_signed() {
    let kept = kept().await;
    let audit = kept.audit();
    assert_eq!(audit.finding, None);
    let [log] = &audit.logs[..] else { panic!("{audit:?}") };
    assert_eq!((log.records, log.checkpoints, log.unsigned), (10, 2, 0));
    assert_eq!(audit.keys.len(), 1);
    assert_eq!(audit.keys[0].0, "vault:audit/sign#1");
}

#[tokio::test]
async fn an_altered_record_is_named() {
    let kept = kept().await;
    // One byte of the masked note: nothing else would notice.
    kept.sql("UPDATE calls SET record = CAST(replace(record, CAST('200 ok' AS BLOB), CAST('500 ok' AS BLOB)) AS BLOB) WHERE seq = 4");
    let finding = kept.finding();
    assert_eq!((finding.record, finding.call), (Some(4), Some(kept.ids[3])), "{finding}");
    assert!(finding.what.contains("not what was recorded"), "{finding}");
}

#[tokio::test]
async fn a_value_of_another_type_is_a_finding_too() {
    let kept = kept().await;
    kept.sql("UPDATE calls SET record = 'text' WHERE seq = 9");
    assert_eq!(kept.finding().record, Some(9));
}

#[tokio::test]
async fn a_removed_record_is_named_whether_its_link_goes_with_it_or_not() {
    let kept = kept().await;
    kept.sql("DELETE FROM calls WHERE seq = 7");
    let finding = kept.finding();
    assert_eq!((finding.record, finding.call), (Some(7), Some(kept.ids[6])));
    assert!(finding.what.contains("taken out"), "{finding}");
    kept.sql("DELETE FROM chain WHERE seq = 7");
    let finding = kept.finding();
    assert_eq!(finding.record, Some(7));
    assert!(finding.what.contains("missing"), "{finding}");
}

#[tokio::test]
async fn reordered_records_are_found() {
    let kept = kept().await;
    kept.sql(
        "UPDATE chain SET seq = 100 WHERE seq = 2; UPDATE chain SET seq = 2 WHERE seq = 3; UPDATE chain SET seq = 3 WHERE seq = 100;",
    );
    assert_eq!(kept.finding().record, Some(2));
}

#[tokio::test]
async fn a_record_put_in_beside_the_log_is_found() {
    let kept = kept().await;
    kept.sql(
        "INSERT INTO calls SELECT x'00112233445566778899aabbccddeeff', started_us, interface, caller, outcome, status, fault,
            duration_us, record, NULL, NULL FROM calls WHERE seq = 1",
    );
    assert!(kept.finding().what.contains("beside the log"));
}

#[tokio::test]
async fn a_line_of_the_index_that_says_something_else_than_its_record_is_found() {
    let kept = kept().await;
    kept.sql("UPDATE calls SET caller = 'somebody-else' WHERE seq = 5");
    let finding = kept.finding();
    assert_eq!(finding.record, Some(5));
    assert!(finding.what.contains("says something else"), "{finding}");
}

#[tokio::test]
async fn links_made_anew_after_an_alteration_do_not_lead_to_what_was_signed() {
    let kept = kept().await;
    let index = Connection::open(kept.folder.path().join("calls.db")).expect("database");
    kept.sql("UPDATE calls SET record = CAST(replace(record, CAST('200 ok' AS BLOB), CAST('500 ok' AS BLOB)) AS BLOB) WHERE seq = 8");
    let rows: Vec<(i64, Vec<u8>)> = index
        .prepare("SELECT seq, record FROM calls ORDER BY seq")
        .and_then(|mut find| find.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
        .expect("rows");
    let log: [u8; 16] = index.query_row("SELECT log FROM logs", [], |row| row.get(0)).expect("a log");
    let mut head = chain::Head::start(crate::LogId(log));
    for (seq, record) in rows {
        head = head.after(&record);
        index.execute("UPDATE chain SET link = ?1 WHERE seq = ?2", (head.link, seq)).expect("updated");
    }
    let finding = kept.finding();
    assert_eq!(finding.record, Some(6), "the second checkpoint begins there");
    assert!(finding.what.contains("from 6 to 10 was altered"), "{finding}");
}

#[tokio::test]
async fn a_missing_a_forged_and_a_foreign_checkpoint_are_found() {
    for (sql, complaint) in [
        ("DELETE FROM checkpoints WHERE upto = 5", "no checkpoint covers"),
        (
            "UPDATE checkpoints SET signed = replace(signed, '\"timeUs\":1', '\"timeUs\":2') WHERE upto = 5",
            "signature",
        ),
        ("DELETE FROM chain WHERE seq > 8; DELETE FROM calls WHERE seq > 8", "which are gone"),
    ] {
        let kept = kept().await;
        kept.sql(sql);
        let finding = kept.finding();
        assert!(finding.what.contains(complaint), "{sql}: {finding}");
    }
    let kept = kept().await;
    let nobody = |_: &Checkpoint| Err("signed by a stranger".to_owned());
    let audit = verify(kept.folder.path(), None, &nobody).expect("readable");
    assert!(audit.finding.expect("a finding").what.contains("stranger"));
}

#[tokio::test]
async fn a_log_whose_end_was_cut_off_hangs_together_but_not_with_the_link_noted_before() {
    let kept = kept().await;
    let noted = kept.audit().logs[0].head.clone();
    let audit = || verify(kept.folder.path(), Some(&noted), &anybody).expect("readable").finding;
    assert_eq!(audit(), None);
    kept.sql("DELETE FROM chain WHERE seq > 5; DELETE FROM calls WHERE seq > 5; DELETE FROM checkpoints WHERE upto > 5");
    // The files of the log say where it ended, too; whoever cuts it off takes them along.
    fs::remove_dir_all(kept.folder.path().join("log")).expect("removed");
    assert_eq!(kept.audit().finding, None, "nothing else can tell");
    let finding = audit().expect("a finding");
    assert!(finding.what.contains("cut off"), "{finding}");
}

#[tokio::test]
async fn what_is_not_in_the_index_yet_is_audited_in_the_log_and_an_altered_frame_is_named() {
    let folder = tempfile::tempdir().expect("folder");
    let (_vault, _, key) = chain::tests::key();
    let node = open(folder.path(), &key);
    let index = Connection::open(folder.path().join("calls.db")).expect("database");
    index.busy_timeout(Duration::from_secs(30)).expect("set");
    index.execute_batch("BEGIN IMMEDIATE").expect("locked: nothing is shipped");
    let mut ids = Vec::new();
    for _ in 0..5 {
        let record = record();
        ids.push(record.id);
        assert_eq!(node.recorder.record(record).await, Recorded::Kept);
    }
    assert!(!node.close(Duration::from_millis(10)).await.shipped_all);
    drop(index);
    let audit = verify(folder.path(), None, &anybody).expect("readable");
    assert_eq!((audit.finding, audit.logs[0].records, audit.logs[0].unsigned), (None, 5, 0));

    let place = segment::path(&folder.path().join("log"), 1);
    let mut bytes = fs::read(&place).expect("read");
    let mut starts = vec![segment::HEADER_BYTES as usize];
    while let frame::Found::Frame(payload) = frame::read(&bytes, starts[starts.len() - 1]) {
        starts.push(payload.end);
    }
    // Altered by someone who knows the format: the frame's checksum fits again.
    let (at, end) = (starts[2], starts[3]);
    let payload = bytes[at + frame::FRAME_HEAD_BYTES..end].to_vec();
    let note = payload.windows(6).position(|window| window == b"200 ok").expect("a note");
    let mut altered = payload;
    altered[note] = b'5';
    let mut framed = Vec::new();
    let begun = frame::begin(&mut framed);
    framed.extend(altered);
    frame::finish(&mut framed, begun);
    bytes[at..end].copy_from_slice(&framed);
    fs::write(&place, bytes).expect("written");
    let finding = verify(folder.path(), None, &anybody).expect("readable").finding.expect("a finding");
    assert_eq!((finding.record, finding.call), (Some(3), Some(ids[2])), "{finding}");
}

#[tokio::test]
async fn a_checkpoint_is_signed_before_the_unsigned_records_grow_many() {
    let folder = tempfile::tempdir().expect("folder");
    let (_vault, _, key) = chain::tests::key();
    let node = open(folder.path(), &key);
    for _ in 0..3 * chain::MOST_UNSIGNED {
        assert_eq!(node.recorder.record(record()).await, Recorded::Kept);
    }
    let recorder = Arc::clone(&node.recorder);
    let signed = async {
        while recorder.counters().checkpoints == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, signed).await.expect("signed long before the sync is due");
    assert!(node.close(LONG).await.shipped_all);
    let audit = verify(folder.path(), None, &anybody).expect("readable");
    assert_eq!((audit.finding, audit.logs[0].unsigned), (None, 0));
}

#[tokio::test]
async fn with_a_sealed_vault_records_are_kept_and_signed_once_it_is_open_again() {
    let folder = tempfile::tempdir().expect("folder");
    let (vault, _, key) = chain::tests::key();
    let node = open(folder.path(), &key);
    vault.seal();
    assert_eq!(node.recorder.record(record()).await, Recorded::Kept);
    assert!(node.close(LONG).await.shipped_all);
    let audit = verify(folder.path(), None, &anybody).expect("readable");
    assert_eq!((audit.finding, audit.logs[0].unsigned), (None, 1));
    assert!(node.recorder.counters().checkpoint_errors > 0);
}

#[tokio::test]
async fn evidence_of_one_call_is_proven_without_the_bus_and_nothing_in_it_can_be_changed() {
    let kept = kept().await;
    for (index, id) in kept.ids.iter().enumerate() {
        let evidence = export(kept.folder.path(), *id).expect("evidence");
        assert_eq!(evidence.number, index as u64 + 1);
        assert_eq!(evidence.verify(None).expect("holds").id, *id);
        let own = evidence.checkpoint.own_key().expect("a key");
        evidence.verify(Some(&own)).expect("holds");
        assert!(evidence.verify(Some(&[9; 64])).is_err(), "another key");
    }
    let good = export(kept.folder.path(), kept.ids[6]).expect("evidence");
    let changes: [fn(&mut Evidence); 8] = [
        |e| e.record = e.record.replacen("323030206f6b", "353030206f6b", 1),
        |e| e.number += 1,
        |e| e.previous_link = e.checkpoint.to_link.clone(),
        |e| drop(e.following.pop()),
        |e| e.following.swap(0, 1),
        |e| e.checkpoint.time_us += 1,
        |e| e.shown["status"] = 500.into(),
        |e| e.call = CallId::generate(),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut changed = good.clone();
        change(&mut changed);
        assert!(changed.verify(None).is_err(), "change {index}");
    }
    let stranger = export(kept.folder.path(), CallId::generate()).expect_err("not recorded");
    assert!(stranger.to_string().contains("not in the index"), "{stranger}");
}
