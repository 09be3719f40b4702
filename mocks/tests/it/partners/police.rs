//! Public security: photos, households, houses; batches of letters are taken once.
use super::*;

#[tokio::test]
async fn people_and_houses_of_the_city_are_known_and_nobody_else() {
    let partners = Partners::serve();
    let ask = async |path: &str, body: Value| partners.post(&format!("/police{path}"), body).await;
    let photo = ask("/photo/query", json!({"idNo": "310101199003074511"})).await;
    assert_eq!((photo.stub(), &photo.json()["data"]["name"]), ("photo-query", &json!("张三")));
    let picture = base64::Engine::decode(
        &base64::prelude::BASE64_STANDARD,
        photo.json()["data"]["photo"].as_str().expect("a photo"),
    );
    assert!(picture.expect("Base64").starts_with(b"BM"), "a bitmap");
    let household = ask("/household/query", json!({"idNo": "310115200002290021"})).await.json();
    let members = household["data"]["household"].as_array().expect("members");
    let ids: BTreeSet<&str> = members.iter().filter_map(|member| member["idNo"].as_str()).collect();
    // Both live at the same house; the city's other people may live there too.
    assert!(ids.contains("310101199003074511") && ids.contains("310115200002290021"), "{ids:?}");
    let house = ask("/house/legality", json!({"houseCode": "H310101000001"})).await.json();
    assert_eq!((&house["data"]["legal"], &house["data"]["property"]), (&json!(true), &json!("租赁")));
    for (path, body, stub) in [
        ("/photo/query", json!({"idNo": "820000199001011224"}), "photo-unknown"),
        ("/household/query", json!({"idNo": "820000199001011224"}), "household-unknown"),
        ("/house/legality", json!({"houseCode": "H000"}), "house-unknown"),
    ] {
        let unknown = ask(path, body).await;
        assert_eq!((unknown.stub(), &unknown.json()["code"]), (stub, &json!("1002")));
    }
    let batch = json!({"batchNo": "WL20260301001", "items": [{"waybillNo": "1"}, {"waybillNo": "2"}]});
    let taken = ask("/logistics/batch", batch.clone()).await;
    assert_eq!((taken.stub(), taken.json()["received"].to_string().as_str()), ("logistics-batch", "2"));
    let again = ask("/logistics/batch", batch).await;
    assert_eq!((again.stub(), &again.json()["code"]), ("logistics-batch-again", &json!("1004")));
    let broken = ask("/logistics/batch", json!({"batchNo": "WL2"})).await;
    assert_eq!((broken.status, &broken.json()["code"]), (404, &json!("1001")));
    partners.each_stub_was_asked("police").await;
}
