//! What is remembered, for how long, and that nothing of it is forgotten early.
use bytes::Bytes;
use http::{HeaderMap, StatusCode};

use super::*;

fn use_of(caller: &str, nonce: u8, now_ms: i64) -> NonceUse<'_> {
    NonceUse { caller, nonce: [nonce; 16], now_ms, keep_ms: 600_000, most: 3 }
}

async fn remember(memory: &CallerMemory, nonce: NonceUse<'_>) -> Remembered {
    memory.remember(nonce).await.expect("memory answers")
}

#[tokio::test]
async fn a_nonce_is_told_again_as_long_as_its_message_could_pass_and_is_free_after() {
    let memory = CallerMemory::default();
    assert_eq!(remember(&memory, use_of("a", 1, 0)).await, Remembered::First);
    assert_eq!(remember(&memory, use_of("a", 1, 599_999)).await, Remembered::Again);
    assert_eq!(remember(&memory, use_of("b", 1, 0)).await, Remembered::First, "another caller's");
    assert_eq!(remember(&memory, use_of("a", 1, 600_000)).await, Remembered::First);
    assert_eq!(remember(&memory, use_of("a", 1, 600_001)).await, Remembered::Again);
}

#[tokio::test]
async fn a_full_memory_refuses_and_forgets_nothing_early_and_takes_no_other_callers_room() {
    let memory = CallerMemory::default();
    for nonce in 1..=3 {
        assert_eq!(remember(&memory, use_of("a", nonce, i64::from(nonce))).await, Remembered::First);
    }
    assert_eq!(remember(&memory, use_of("a", 4, 10)).await, Remembered::Full);
    assert_eq!(remember(&memory, use_of("a", 1, 10)).await, Remembered::Again, "still known");
    assert_eq!(remember(&memory, use_of("b", 4, 10)).await, Remembered::First);
    assert_eq!(remember(&memory, use_of("a", 4, 600_001)).await, Remembered::First, "the first has aged");
    assert_eq!(remember(&memory, use_of("a", 5, 600_001)).await, Remembered::Full);
    memory.forget_old(2_000_000);
    assert_eq!(memory.counts(), (0, 0));
    assert!(memory.nonces.lock().is_empty(), "callers who went away take no room");
}

#[test]
fn of_calls_at_once_with_one_nonce_one_is_the_first() {
    let memory = CallerMemory::default();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let told: Vec<_> = std::thread::scope(|scope| {
        let one = || runtime.handle().block_on(remember(&memory, use_of("a", 9, 0)));
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("told")).collect()
    });
    assert_eq!(told.iter().filter(|told| **told == Remembered::First).count(), 1, "{told:?}");
}

fn key(caller: &str, key: u16) -> AnswerKey {
    let mut bytes = [0; 16];
    bytes[..2].copy_from_slice(&key.to_be_bytes());
    AnswerKey { caller: caller.into(), interface: "a.b".into(), key: bytes }
}

fn answer(bytes: usize) -> KeptAnswer {
    KeptAnswer { status: StatusCode::OK, headers: HeaderMap::new(), body: Bytes::from(vec![b'x'; bytes]) }
}

async fn begin(memory: &CallerMemory, key: &AnswerKey, request: u8, now_ms: i64) -> Begun {
    memory.begin(key, [request; 32], now_ms).await.expect("memory answers")
}

#[tokio::test]
async fn a_key_stands_for_one_request_and_its_answer_for_ten_minutes() {
    let (memory, one) = (CallerMemory::default(), key("a", 1));
    assert!(matches!(begin(&memory, &one, 1, 0).await, Begun::First));
    assert!(matches!(begin(&memory, &one, 1, 0).await, Begun::Running));
    assert!(matches!(begin(&memory, &one, 2, 0).await, Begun::Other));
    assert!(matches!(begin(&memory, &key("b", 1), 2, 0).await, Begun::First), "another caller's");
    memory.finish(&one, Ended::Answer(answer(10)));
    assert!(matches!(begin(&memory, &one, 1, 599_999).await, Begun::Answered(kept) if kept == answer(10)));
    assert!(matches!(begin(&memory, &one, 2, 599_999).await, Begun::Other));
    assert!(matches!(begin(&memory, &one, 2, 600_000).await, Begun::First), "it was forgotten");
    memory.finish(&one, Ended::Nothing);
    assert!(matches!(begin(&memory, &one, 3, 600_001).await, Begun::First), "it had no effect");
    memory.finish(&one, Ended::Unknown);
    assert!(matches!(begin(&memory, &one, 3, 600_002).await, Begun::Unknown));
    memory.forget_old(600_003 + ANSWER_LIFE_MS);
    assert_eq!(memory.counts(), (0, 0));
}

#[tokio::test]
async fn a_caller_has_room_for_so_many_keys_and_bytes_and_too_large_an_answer_is_not_kept() {
    let memory = CallerMemory::default();
    let large = key("a", 0);
    begin(&memory, &large, 1, 0).await;
    memory.finish(&large, Ended::Answer(answer(LARGEST_ANSWER + 1)));
    assert!(matches!(begin(&memory, &large, 1, 1).await, Begun::Unknown), "it is not run again");
    let fit = MOST_BYTES / LARGEST_ANSWER;
    for number in 1..=fit {
        let key = key("a", number as u16);
        assert!(matches!(begin(&memory, &key, 1, 0).await, Begun::First), "{number}");
        memory.finish(&key, Ended::Answer(answer(LARGEST_ANSWER)));
    }
    assert!(matches!(begin(&memory, &key("a", 999), 1, 0).await, Begun::Full));
    assert!(matches!(begin(&memory, &key("a", 1), 1, 0).await, Begun::Answered(_)), "still known");
    for number in 0..MOST_KEYS {
        assert!(matches!(begin(&memory, &key("b", number as u16), 1, 0).await, Begun::First));
    }
    assert!(matches!(begin(&memory, &key("b", u16::MAX), 1, 0).await, Begun::Full));
    assert!(matches!(begin(&memory, &key("a", 999), 1, ANSWER_LIFE_MS).await, Begun::First));
}

#[tokio::test]
async fn whoever_repeats_a_request_without_effect_takes_no_more_room_and_loses_no_other_key() {
    let memory = CallerMemory::default();
    let kept = key("a", 0);
    begin(&memory, &kept, 1, 0).await;
    memory.finish(&kept, Ended::Answer(answer(10)));
    for n in 1..=10_000 {
        // One key again and again, and another each time.
        for failing in [key("a", 1), key("a", n)] {
            assert!(matches!(begin(&memory, &failing, 2, i64::from(n)).await, Begun::First), "{n}");
            memory.finish(&failing, Ended::Nothing);
        }
        let places = memory.answers.lock()["a"].order.len();
        assert!(places <= GIVEN_BACK + 2, "{places} places after {n} failures");
    }
    assert!(matches!(begin(&memory, &kept, 1, 10_001).await, Begun::Answered(_)), "still known");
    assert!(matches!(begin(&memory, &kept, 1, ANSWER_LIFE_MS).await, Begun::First), "and forgotten in time");
}
