//! Tests of the SQLite store: round trip, listings and their pages, reads beside a locked or running writer.
use std::time::Duration;

use super::*;
use crate::{
    Embedded, EmbeddedConfig, open_embedded,
    testing::{as_json, sample},
};
use qiao_core::{BodyPart, KeptBody, Recorded, Recorder};

const LONG: Duration = Duration::from_secs(60);

fn open(folder: &Path) -> Embedded {
    open_embedded(EmbeddedConfig::new(folder)).expect("opens")
}

fn record(interface: &str, caller: &str, outcome: Outcome) -> CallRecord {
    let mut record = sample(CallId::generate());
    (record.interface, record.caller, record.outcome) = (interface.into(), caller.into(), outcome);
    record
}

fn lock(folder: &Path) -> Connection {
    let connection = Connection::open(folder.join("calls.db")).expect("database");
    connection.busy_timeout(Duration::from_secs(30)).expect("set");
    connection.execute_batch("BEGIN IMMEDIATE").expect("locked");
    connection
}

async fn ids(store: &SqliteStore, filter: CallFilter) -> Vec<CallId> {
    store.calls(&filter).await.expect("listing").into_iter().map(|line| line.id).collect()
}

#[tokio::test]
async fn a_recorded_call_reads_back_whole_right_after_its_answer() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path());
    let record = sample(CallId::generate());
    assert_eq!(node.recorder.record(record.clone()).await, Recorded::Kept);
    let found = node.store.call(record.id).await.expect("store").expect("found");
    assert_eq!(as_json(&found), as_json(&record));
    assert!(node.store.call(CallId::generate()).await.expect("store").is_none());
    let line =
        &node.store.calls(&CallFilter { limit: 1, ..CallFilter::default() }).await.expect("listing")[0];
    assert_eq!((line.id, &*line.interface, &*line.caller), (record.id, &*record.interface, &*record.caller));
    assert_eq!((line.started_us, line.duration_us), (record.started_us, record.duration_us));
    assert_eq!((line.outcome, line.status, line.fault), (record.outcome, record.status, record.fault));
}

#[tokio::test]
async fn listings_filter_and_page_newest_first() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path());
    let records = [
        record("card.query", "hotline", Outcome::Ok),
        record("card.query", "bank", Outcome::Failed),
        record("permit.query", "hotline", Outcome::Ok),
        record("card.query", "hotline", Outcome::Denied),
        record("card.query", "hotline", Outcome::Ok),
    ];
    node.store.insert_calls(&records).await.expect("inserted");
    let all: Vec<CallId> = records.iter().rev().map(|record| record.id).collect();
    let page = |before, limit| CallFilter { before, limit, ..CallFilter::default() };
    assert_eq!(ids(&node.store, page(None, 3)).await, all[..3]);
    assert_eq!(ids(&node.store, page(Some(all[2]), 3)).await, all[3..]);
    assert_eq!(ids(&node.store, page(None, usize::MAX)).await, all);
    assert_eq!(ids(&node.store, page(None, 0)).await, []);
    let both = CallFilter {
        interface: Some("card.query".into()),
        caller: Some("hotline".into()),
        limit: 10,
        ..CallFilter::default()
    };
    assert_eq!(ids(&node.store, both.clone()).await, [all[0], all[1], all[4]]);
    assert_eq!(
        ids(&node.store, CallFilter { outcome: Some(Outcome::Denied), ..both.clone() }).await,
        [all[1]]
    );
    assert_eq!(ids(&node.store, CallFilter { outcome: Some(Outcome::Ok), ..both }).await, [all[0], all[4]]);
}

#[test]
fn every_listing_walks_an_index_and_sorts_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let place = folder.path().join("calls.db");
    schema::prepare(&place).expect("made");
    let connection = schema::connect_reader(&place).expect("opens");
    for (filter, index) in [
        ("", "PRIMARY KEY"),
        (" AND interface = 'a'", "calls_by_interface"),
        (" AND caller = 'a'", "calls_by_caller"),
        (" AND outcome = 5 AND outcome <> 1", "calls_by_outcome"),
    ] {
        let sql = format!(
            "EXPLAIN QUERY PLAN SELECT id, status FROM calls WHERE id < x'ff'{filter} ORDER BY id DESC LIMIT 9"
        );
        let mut statement = connection.prepare(&sql).expect("prepares");
        let plan: Vec<String> = statement
            .query_map([], |row| row.get(3))
            .expect("plan")
            .map(|line| line.expect("line"))
            .collect();
        assert!(plan.len() == 1 && plan[0].contains(index), "{filter}: {plan:?}");
    }
}

#[tokio::test]
async fn inserting_again_changes_and_counts_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path());
    let mut record = sample(CallId::generate());
    node.store.insert_calls(std::slice::from_ref(&record)).await.expect("inserted");
    record.status = 500;
    node.store.insert_calls(&[record.clone(), sample(CallId::generate())]).await.expect("inserted");
    assert_eq!(node.store.count_calls().await.expect("count"), 2);
    assert_eq!(node.store.call(record.id).await.expect("store").expect("found").status, 200);
}

#[tokio::test]
async fn with_the_database_locked_calls_are_kept_and_found_and_shipped_when_it_is_free() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path());
    let lock = lock(folder.path());
    let record = sample(CallId::generate());
    assert_eq!(node.recorder.record(record.clone()).await, Recorded::Kept);
    let beside = SqliteStore::open_read_only(folder.path().join("calls.db")).expect("opens for reading");
    // The flush runs into its bound; then the log itself is searched, here and beside.
    for store in [&node.store, &beside] {
        let found = store.call(record.id).await.expect("store").expect("found in the log");
        assert_eq!(as_json(&found), as_json(&record));
    }
    assert_eq!(beside.count_calls().await.expect("count"), 0);
    assert!(
        node.recorder.counters().ship_errors > 0,
        "the flush took longer than the writer waits for the lock"
    );
    drop(lock);
    assert!(node.recorder.flush(LONG).await);
    assert_eq!(beside.count_calls().await.expect("count"), 1);
    assert_eq!(node.recorder.counters().unshipped_records, 0);
}

#[tokio::test]
async fn a_store_opened_for_reading_reads_beside_the_bus_and_writes_nothing() {
    let folder = tempfile::tempdir().expect("folder");
    assert!(SqliteStore::open_read_only(folder.path().join("calls.db")).is_err(), "there is no store yet");
    let node = open(folder.path());
    let record = sample(CallId::generate());
    assert_eq!(node.recorder.record(record.clone()).await, Recorded::Kept);
    let beside = SqliteStore::open_read_only(folder.path().join("calls.db")).expect("opens");
    assert!(beside.call(record.id).await.expect("store").is_some());
    assert!(beside.call(CallId::generate()).await.expect("store").is_none());
    assert!(matches!(beside.insert_calls(&[record]).await, Err(StoreError::Unavailable { .. })));
}

#[tokio::test]
async fn a_stored_record_of_a_later_format_is_refused_as_such() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path());
    let record = sample(CallId::generate());
    node.store.insert_calls(std::slice::from_ref(&record)).await.expect("inserted");
    let connection = Connection::open(folder.path().join("calls.db")).expect("database");
    connection.execute("UPDATE calls SET record = x'09'", []).expect("updated");
    let error = node.store.call(record.id).await.expect_err("format 9");
    assert!(matches!(&error, StoreError::Corrupt { reason, .. } if reason.contains("format 9")), "{error}");
}

#[tokio::test]
async fn encrypted_bodies_are_kept_beside_their_call_and_business_keys_find_it() {
    let folder = tempfile::tempdir().expect("folder");
    let node = open(folder.path());
    let mut record = sample(CallId::generate());
    let body = |part, sealed: &[u8]| KeptBody {
        part,
        bytes: 9,
        cut: false,
        digest: "cd".into(),
        sealed: sealed.to_vec(),
    };
    record.bodies = vec![body(BodyPart::Request, &[1; 50]), body(BodyPart::Answer, &[2; 60])];
    record.keys[0].hash = "12".repeat(32).into();
    assert_eq!(node.recorder.record(record.clone()).await, Recorded::Kept);
    assert_eq!(node.recorder.record(sample(CallId::generate())).await, Recorded::Kept);
    let found = node.store.bodies(record.id).await.expect("store");
    assert_eq!(found, [(BodyPart::Request, vec![1; 50]), (BodyPart::Answer, vec![2; 60])]);
    let by_key = |name: &str, hash: String| CallFilter {
        key: Some((name.to_owned(), hash)),
        limit: 10,
        ..CallFilter::default()
    };
    assert_eq!(ids(&node.store, by_key("idNo", "12".repeat(32))).await, [record.id]);
    assert_eq!(ids(&node.store, by_key("phone", "12".repeat(32))).await, []);
    assert_eq!(node.recorder.counters().appended, 2, "bodies are no records");
    assert!(node.recorder.flush(LONG).await);
    assert_eq!(node.recorder.counters().unshipped_records, 0);
    let stored = node.store.call(record.id).await.expect("store").expect("found");
    assert_eq!(as_json(&stored), as_json(&record), "the record itself is whole without them");
}
