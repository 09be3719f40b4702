//! Bounds, pages and explanations of the ring.
use super::{entry::BODY_CUT, *};

fn entry<'e>(partner: &'e str, stub: Option<&'e str>, body: &'e [u8]) -> Entry<'e> {
    Entry { partner, stub, request: Body::cut(body), ..Entry::default() }
}

#[test]
fn the_ring_never_takes_more_memory_than_its_bound_and_keeps_the_newest() {
    let journal = Journal::new(100_000);
    let body = vec![b'x'; 5_000];
    for size in (0..1_000).map(|n| n * 7 % 5_000) {
        journal.push(&entry("ems", Some("ems/a@1"), &body[..size]));
        let ring = journal.ring.lock();
        assert!(ring.used() <= ring.held() && ring.held() <= 100_000);
    }
    assert!(journal.bytes() > 80_000, "the bound is used");
    assert_eq!(journal.get(1_000).map(|record| record.id), Some(1_000));
    assert!(journal.get(1).is_none());
}

#[test]
fn an_entry_larger_than_the_ring_is_not_kept_and_those_after_it_are() {
    let journal = Journal::new(6_000);
    journal.push(&entry("ems", None, b"1"));
    assert_eq!(journal.push(&entry("ems", None, &[b'x'; 8_000])), 2);
    assert_eq!(journal.push(&entry("ems", None, b"3")), 3);
    let there = |id| journal.get(id).is_some();
    assert!(!there(1) && !there(2) && there(3) && !there(4));
    assert_eq!(journal.get(3).map(|record| record.entry().request.bytes.to_vec()), Some(b"3".to_vec()));
    assert!(journal.span(1, 10).forgotten);
}

#[test]
fn a_diagnosis_counts_towards_the_bytes() {
    let journal = Journal::new(20_000);
    let ids: Vec<_> = (0..40).map(|_| journal.push(&entry("ems", None, b"0123456789"))).collect();
    let before = journal.bytes();
    let verdict = || Verdict { criterion: "c".repeat(500), wanted: "w".repeat(500), seen: None, ok: false };
    let nearest = || vec![Nearest { stub: "s".into(), criteria: (0..5).map(|_| verdict()).collect() }];
    for id in &ids {
        journal.explain(*id, nearest());
        let ring = journal.ring.lock();
        assert!(ring.used() <= ring.held() && ring.held() <= 20_000);
    }
    assert!(journal.bytes() > before && journal.get(1).is_none(), "the oldest made room");
    assert!(journal.get(40).is_some() && journal.nearest(40).is_some(), "the newest are told");
    journal.explain(40, nearest());
    journal.clear();
    assert_eq!((journal.bytes(), journal.ring.lock().held()), (0, 0));
    journal.explain(40, nearest());
    assert_eq!(journal.bytes(), 0, "a forgotten entry weighs nothing");
    assert_eq!(journal.push(&entry("ems", None, b"")), 41, "ids go on");
}

#[test]
fn bodies_are_cut_and_keep_their_whole_size() {
    let whole = vec![0; 20_000];
    let body = Body::cut(&whole);
    assert_eq!((body.bytes.len(), body.size), (BODY_CUT, 20_000));
}

#[test]
fn pages_follow_the_cursor_without_gap_or_repeat() {
    let journal = Journal::new(DEFAULT_BYTES);
    for n in 0..25 {
        journal.push(&entry(if n % 2 == 0 { "ems" } else { "hrss" }, None, &[b'x'; 10]));
    }
    let filter = Filter { partner: Some("ems".into()), ..Filter::default() };
    let (mut seen, mut before) = (Vec::new(), None);
    loop {
        let page = journal.page(&filter, before, 4);
        seen.extend(page.entries.iter().map(|record| record.id));
        journal.push(&entry("ems", None, &[b'x'; 10])); // later entries do not disturb the walk
        before = page.next;
        if before.is_none() {
            break;
        }
    }
    assert_eq!(seen, (1..=25).rev().filter(|id| id % 2 == 1).collect::<Vec<u64>>());
}

#[test]
fn a_page_reads_no_more_than_it_shows_however_many_entries_there_are() {
    let journal = Journal::new(DEFAULT_BYTES);
    let count = 60_000;
    for n in 0..count {
        journal.push(&entry(if n == 10 { "rare" } else { "ems" }, Some("ems/a@1"), b""));
    }
    let page = journal.page(&Filter::default(), None, 50);
    assert_eq!((page.entries.len(), page.read, page.next), (50, 50, Some(count - 49)));
    let rare = Filter { partner: Some("rare".into()), ..Filter::default() };
    let page = journal.page(&rare, None, 50);
    assert_eq!((page.entries.len(), page.next), (1, None));
    assert!(page.read as u64 == count && page.read <= READ, "{}", page.read);
}

#[test]
fn a_span_goes_on_where_it_ended_and_tells_what_was_forgotten() {
    let journal = Journal::new(20_000);
    for _ in 0..5 {
        journal.push(&entry("ems", None, &[b'x'; 10]));
    }
    let span = journal.span(2, 2);
    assert_eq!(span.entries.iter().map(|entry| entry.id).collect::<Vec<_>>(), [2, 3]);
    assert_eq!((span.next, span.forgotten), (4, false));
    for _ in 0..100 {
        journal.push(&entry("ems", None, &[b'x'; 1_000]));
    }
    assert!(journal.span(4, 1).forgotten);
    journal.clear();
    let span = journal.span(4, 10);
    assert_eq!((span.entries.len(), span.next, span.forgotten), (0, 106, false), "cleared on purpose");
}

#[test]
fn misses_are_told_from_matches() {
    let journal = Journal::new(DEFAULT_BYTES);
    journal.push(&entry("ems", None, &[b'x'; 1]));
    journal.push(&entry("ems", Some("ems/order@77"), &[b'x'; 1]));
    let page = |filter| journal.page(&filter, None, 10).entries.iter().map(|e| e.id).collect::<Vec<_>>();
    assert_eq!(page(Filter { miss: Some(true), ..Filter::default() }), [1]);
    assert_eq!(page(Filter { stub: Some("order".into()), ..Filter::default() }), [2]);
}
