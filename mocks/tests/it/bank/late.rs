//! Results that come late, and never.
use super::*;

const RESULT: &str = "BATCHOPENR_BANK_CARD_20261122_0001.txt";

#[tokio::test]
async fn sftp_f04_a_result_that_comes_after_the_last_look_is_there_at_the_next() {
    let bank = bank().await;
    let dial = json!({"delay": {"fixed": "10m"}});
    assert_eq!(bank.mocks.admin("PUT", "/api/mocks/dials/bank/late", Some(&dial)).await.status, 200);
    bank.put(&bank.batch(1, &[("张三", "310101199003074511")])).await;
    bank.advance("35m").await;
    // The caller looks once when the result is due, and gives up.
    assert!(!bank.sftp(&format!("get /out/{RESULT}\n")).await.0);
    bank.advance("5m").await;
    let (done, told) = bank.sftp(&format!("get /out/{RESULT}\n")).await;
    assert!(done, "{told}");
    let bytes = std::fs::read(bank.desk.path().join(RESULT)).expect("fetched");
    assert_eq!(rows(&bytes).expect("a right file")[0][6], "0000", "the account was opened all the same");
}

#[tokio::test]
async fn sftp_f13_a_result_never_comes_and_the_batch_stays_taken() {
    let bank = bank().await;
    bank.dial(json!({"kind": "no-answer", "first": 1})).await;
    let name = bank.batch(1, &[("张三", "310101199003074511")]);
    bank.put(&name).await;
    bank.advance("10d").await;
    assert!(!bank.sftp(&format!("get /out/{RESULT}\n")).await.0);
    bank.put(&name).await;
    let journal = bank.mocks.admin("GET", "/api/mocks/journal?limit=1", None).await.json();
    let stub = journal["entries"][0]["stub"].as_str().unwrap_or_default().to_owned();
    assert!(stub.starts_with("bank/batch-again@"), "{journal}");
}
