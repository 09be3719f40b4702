//! Tests of the recorder as a whole: group commit, cancellation, budget, failing disk, shipping, restart.
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::SeqCst},
};

use qiao_core::{CallId, Store};
use tokio::task::JoinSet;

use super::*;
use crate::{
    SqliteStore,
    log::{Position, segment},
    testing::{Switched, sample},
};

mod signing;

/// Far above what anything here takes; a test that meets it has failed.
const LONG: Duration = Duration::from_secs(60);

struct Node {
    recorder: Arc<SegmentRecorder>,
    store: Arc<SqliteStore>,
    up: Arc<AtomicBool>,
}

fn open(folder: &Path, up: bool, change: impl FnOnce(&mut RecorderConfig)) -> Node {
    let store = SqliteStore::open(folder.join("calls.db")).expect("store");
    let mut config = RecorderConfig::new(folder);
    change(&mut config);
    let up = Arc::new(AtomicBool::new(up));
    let target = Switched { inner: store.ship_target(), up: Arc::clone(&up) };
    let recorder = SegmentRecorder::open(config, Box::new(target)).expect("recorder");
    store.follow(&recorder);
    Node { recorder, store, up }
}

fn small(config: &mut RecorderConfig) {
    config.segment_bytes = 4 << 10;
    config.budget_bytes = 32 << 10;
}

fn record() -> CallRecord {
    sample(CallId::generate())
}

async fn keep(node: &Node, count: usize) -> Vec<CallId> {
    let mut ids = Vec::new();
    for _ in 0..count {
        let record = record();
        ids.push(record.id);
        assert_eq!(node.recorder.record(record).await, Recorded::Kept);
    }
    ids
}

async fn assert_all_found(node: &Node, ids: &[CallId]) {
    for id in ids {
        assert!(node.store.call(*id).await.expect("store").is_some(), "call {id}");
    }
}

#[tokio::test]
async fn a_thousand_concurrent_records_share_few_writes() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), true, |_| {});
    let mut calls = JoinSet::new();
    for _ in 0..1000 {
        let recorder = Arc::clone(&node.recorder);
        calls.spawn(async move { recorder.record(record()).await });
    }
    let kept = calls.join_all().await;
    assert_eq!(kept.iter().filter(|kept| **kept == Recorded::Kept).count(), 1000);
    let counters = node.recorder.counters();
    assert_eq!((counters.appended, counters.lost), (1000, 0));
    // One, and one more where the sync thread's tick came between.
    assert!(counters.writes <= 5, "{} writes", counters.writes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn records_of_several_threads_share_writes_and_none_is_forgotten() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), true, |config| config.segment_bytes = 64 << 10);
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let recorder = Arc::clone(&node.recorder);
        callers.spawn(async move {
            for _ in 0..50 {
                assert_eq!(recorder.record(record()).await, Recorded::Kept);
            }
        });
    }
    tokio::time::timeout(LONG, callers.join_all()).await.expect("nothing is stuck");
    let counters = node.recorder.counters();
    assert_eq!(counters.appended, 5000);
    assert!(counters.writes < 5000 / 2, "{} writes", counters.writes);
    assert!(node.recorder.close(LONG).await.shipped_all);
    assert_eq!(node.store.count_calls().await.expect("store"), 5000);
}

#[tokio::test]
async fn a_dropped_leader_does_not_hold_up_the_others() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), true, |_| {});
    let leader = node.recorder.record(record());
    let other = node.recorder.record(record());
    drop(leader);
    assert_eq!(node.recorder.counters().appended, 2, "dropping wrote the batch");
    assert_eq!(other.await, Recorded::Kept);
}

#[tokio::test]
async fn a_leader_that_is_never_polled_again_does_not_hold_up_the_others() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), true, |_| {});
    let leader = node.recorder.record(record());
    let other = tokio::time::timeout(LONG, node.recorder.record(record())).await;
    assert_eq!(other.expect("the sync thread wrote it"), Recorded::Kept);
    assert_eq!(leader.await, Recorded::Kept);
}

#[tokio::test]
async fn a_detached_record_is_written_without_anybody_waiting() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), true, |_| {});
    let record = record();
    let id = record.id;
    node.recorder.record_detached(record);
    let start = Position::start_of(1);
    let mut shipped = node.recorder.state.shipped.subscribe();
    let reached = tokio::time::timeout(LONG, shipped.wait_for(|position| *position > start)).await;
    assert!(reached.expect("in time").is_ok());
    assert!(node.store.call(id).await.expect("store").is_some());
}

#[tokio::test]
async fn a_waiting_record_behind_a_detached_one_leads_the_batch() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), true, |_| {});
    node.recorder.record_detached(record());
    let ticket = commit::enqueue(&node.recorder.state, &record(), true).expect("taken");
    assert_eq!(ticket.kept().await, Recorded::Kept);
    assert_eq!(node.recorder.counters().appended, 2);
}

#[tokio::test]
async fn with_sync_each_a_kept_record_is_synced() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), true, |config| config.sync = SyncPolicy::Each);
    for synced in 1..=5 {
        keep(&node, 1).await;
        assert!(node.recorder.counters().syncs >= synced);
    }
    node.recorder.record_detached(record());
    assert!(node.recorder.close(LONG).await.shipped_all);
    assert_eq!(node.store.count_calls().await.expect("store"), 6);
}

#[tokio::test]
async fn over_the_disk_budget_records_are_lost_and_strict_calls_refused_until_the_store_is_back() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), false, small);
    let mut kept = Vec::new();
    loop {
        let record = record();
        let id = record.id;
        if node.recorder.record(record).await == Recorded::Lost {
            break;
        }
        kept.push(id);
        assert!(kept.len() < 1000, "the budget is 32 KiB");
    }
    let counters = node.recorder.counters();
    assert_eq!((counters.lost, counters.appended), (1, kept.len() as u64));
    assert!(counters.disk_bytes <= 32 << 10, "{}", counters.disk_bytes);
    let fault = node.recorder.admit(RecordPolicy::Strict).expect_err("refused");
    assert_eq!(fault.code().number, 7001);
    assert!(node.recorder.admit(RecordPolicy::Standard).is_ok());
    node.up.store(true, SeqCst);
    assert!(node.recorder.flush(LONG).await);
    assert!(node.recorder.admit(RecordPolicy::Strict).is_ok());
    keep(&node, 1).await;
    assert_all_found(&node, &kept).await;
}

#[tokio::test]
async fn a_failing_disk_loses_records_and_refuses_strict_calls_until_a_probe_succeeds() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), true, small);
    let kept = keep(&node, 3).await;
    let (log, away) = (folder.path().join("log"), folder.path().join("away"));
    fs::rename(&log, &away).expect("renamed");
    // The open file takes records still; the next one cannot be made.
    let mut answers = 0;
    while node.recorder.record(record()).await == Recorded::Kept {
        answers += 1;
        assert!(answers < 1000, "a segment is 4 KiB");
    }
    assert_eq!(node.recorder.admit(RecordPolicy::Strict).expect_err("refused").code().number, 7001);
    assert_eq!(node.recorder.counters().write_errors, 1);
    fs::rename(&away, &log).expect("renamed back");
    // Nothing is recorded meanwhile: the sync thread probes.
    let works = async {
        while node.recorder.admit(RecordPolicy::Strict).is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, works).await.expect("the probe finds the disk well");
    let later = keep(&node, 20).await;
    assert!(node.recorder.flush(LONG).await);
    assert_all_found(&node, &kept).await;
    assert_all_found(&node, &later).await;
}

#[tokio::test]
async fn a_close_ships_everything_and_later_records_are_lost() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), true, |_| {});
    for _ in 0..1200 {
        node.recorder.record_detached(record());
    }
    let report = node.recorder.close(LONG).await;
    assert_eq!(report, CloseReport { shipped_all: true, unshipped_bytes: 0 });
    assert_eq!(node.store.count_calls().await.expect("store"), 1200);
    assert_eq!(node.recorder.record(record()).await, Recorded::Lost);
    assert_eq!(node.recorder.counters().lost, 1);
    let again = open(folder.path(), true, |_| {});
    assert!(again.recorder.flush(LONG).await);
    assert_eq!(again.recorder.counters().shipped, 0, "nothing was left to ship");
}

#[tokio::test]
async fn a_close_with_the_store_down_ends_in_time_and_the_next_start_ships() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), false, small);
    let ids = keep(&node, 20).await;
    let report = node.recorder.close(Duration::from_millis(50)).await;
    assert!(!report.shipped_all);
    assert_eq!(report.unshipped_bytes, node.recorder.counters().bytes);
    let again = open(folder.path(), true, small);
    assert!(again.recorder.flush(LONG).await);
    assert_eq!(again.recorder.counters().unshipped_bytes, 0);
    assert_all_found(&again, &ids).await;
    assert_eq!(again.store.count_calls().await.expect("store"), 20);
}

#[tokio::test]
async fn a_drop_without_close_keeps_what_was_handed_in() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), false, |_| {});
    let record = record();
    let id = record.id;
    node.recorder.record_detached(record);
    drop(node);
    assert_all_found(&open(folder.path(), true, |_| {}), &[id]).await;
}

#[tokio::test]
async fn shipped_segments_are_deleted_but_for_those_to_keep() {
    for keep_shipped in [0, 2] {
        let folder = tempfile::tempdir().expect("folder");
        let node = open(folder.path(), true, |config| {
            small(config);
            config.keep_shipped_segments = keep_shipped;
        });
        for _ in 0..10 {
            keep(&node, 10).await;
            assert!(node.recorder.flush(LONG).await);
        }
        let files = segment::list(&folder.path().join("log")).expect("list");
        assert_eq!(files.len(), 1 + keep_shipped as usize);
        let bytes = files.iter().map(|listed| listed.bytes).sum::<u64>();
        assert_eq!(node.recorder.counters().disk_bytes, bytes);
    }
}

#[tokio::test]
async fn a_lost_position_ships_again_without_duplicates() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), true, |_| {});
    keep(&node, 100).await;
    assert!(node.recorder.close(LONG).await.shipped_all);
    let database = rusqlite::Connection::open(folder.path().join("calls.db")).expect("database");
    assert_eq!(database.execute("DELETE FROM log_positions", []).expect("deleted"), 1);
    let again = open(folder.path(), true, |_| {});
    assert!(again.recorder.flush(LONG).await);
    assert_eq!(again.recorder.counters().shipped, 100);
    assert_eq!(again.store.count_calls().await.expect("store"), 100);
}

#[tokio::test]
async fn a_flipped_bit_loses_one_record_and_its_segment_is_set_aside() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), false, |_| {});
    let ids = keep(&node, 3).await;
    drop(node);
    let place = segment::path(&folder.path().join("log"), 1);
    let mut bytes = fs::read(&place).expect("read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x10;
    fs::write(&place, bytes).expect("written");
    let again = open(folder.path(), true, |_| {});
    assert!(again.recorder.flush(LONG).await);
    assert_eq!(again.recorder.counters().damaged, 1);
    assert_eq!(again.store.count_calls().await.expect("store"), 2);
    assert_all_found(&again, &[ids[0], ids[2]]).await;
    assert!(folder.path().join("log").join("00000000000000000001.seg.damaged").exists());
}

#[tokio::test]
async fn a_torn_tail_is_cut_and_the_records_before_it_are_shipped() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), false, |_| {});
    let ids = keep(&node, 3).await;
    drop(node);
    let place = segment::path(&folder.path().join("log"), 1);
    let length = fs::metadata(&place).expect("file").len();
    fs::File::options().write(true).open(&place).and_then(|file| file.set_len(length - 1)).expect("cut");
    let again = open(folder.path(), true, |_| {});
    let later = keep(&again, 2).await;
    assert!(again.recorder.flush(LONG).await);
    assert_all_found(&again, &ids[..2]).await;
    assert_all_found(&again, &later).await;
    assert_eq!(again.store.count_calls().await.expect("store"), 4);
    assert_eq!(again.recorder.counters().damaged, 0);
}

#[test]
fn a_second_recorder_on_the_same_folder_is_refused() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path(), true, |_| {});
    let second = SegmentRecorder::open(RecorderConfig::new(folder.path()), node.store.ship_target());
    assert!(matches!(second.err(), Some(LogError::InUse { .. })));
}

#[test]
fn settings_out_of_bounds_are_refused_by_name() {
    let folder = tempfile::tempdir().expect("folder");
    let refused = |change: fn(&mut RecorderConfig)| {
        let mut config = RecorderConfig::new(folder.path());
        change(&mut config);
        config.check().expect_err("refused").to_string()
    };
    assert!(refused(|config| config.segment_bytes = 1).starts_with("segment_bytes is 1:"));
    assert!(refused(|config| config.budget_bytes = 100 << 20).starts_with("budget_bytes is"));
    assert!(refused(|config| config.sync_every = Duration::ZERO).starts_with("sync_every is 0ns"));
    assert!(refused(|config| config.max_pending_bytes = 0).starts_with("max_pending_bytes is 0"));
}
