//! WireMock mappings that others wrote and ship in packages: imported whole or refused by name; each stub hit, and missed by each
//! of its criteria in turn.
use std::collections::BTreeMap;

use super::*;
use crate::peers;

/// A package, the stubs taken over from it, how many criteria they have, and what is refused: file, pointer, part of the reason.
struct Shipped {
    package: &'static str,
    stubs: usize,
    criteria: usize,
    refused: &'static [(&'static str, &'static str, &'static str)],
}

const FORM: &str = "`formParameters` is not supported";
const NO_MAPPING: &str = "no `request`: not a stub mapping";
const TRANSFORMER: &str = "the transformer `body-transformer` is not supported";

const SHIPPED: &[Shipped] = &[
    Shipped {
        package: "snowflake-sdk-2.1.0",
        stubs: 24,
        criteria: 96,
        refused: &[
            ("package.json", "", NO_MAPPING),
            (
                "wiremock/mappings/oauth/token_cache_and_refresh/caching_refreshed_access_token_and_new_refresh_token.json",
                "/mappings/1/request/formParameters",
                FORM,
            ),
            (
                "wiremock/mappings/oauth/token_cache_and_refresh/caching_tokens_after_connecting.json",
                "/mappings/0/request/formParameters",
                FORM,
            ),
            (
                "wiremock/mappings/oauth/token_cache_and_refresh/refreshing_expired_access_token.json",
                "/mappings/0/request/formParameters",
                FORM,
            ),
            (
                "wiremock/mappings/oauth/token_cache_and_refresh/restarting_full_flow_on_refresh_token_error.json",
                "/mappings/2/request/formParameters",
                FORM,
            ),
        ],
    },
    Shipped {
        package: "chaostoolkit-wiremock-0.1.2",
        stubs: 3,
        criteria: 9,
        refused: &[
            ("experiments/add_mapping.json", "", NO_MAPPING),
            ("experiments/chunked_dribble_delay.json", "", NO_MAPPING),
            ("experiments/delete_mapping.json", "", NO_MAPPING),
            ("experiments/down.json", "", NO_MAPPING),
            ("experiments/fixed_delay.json", "", NO_MAPPING),
            ("experiments/global_fixed_delay.json", "", NO_MAPPING),
            ("experiments/global_random_delay.json", "", NO_MAPPING),
            ("experiments/populate_from_dir.json", "", NO_MAPPING),
            ("experiments/random_delay.json", "", NO_MAPPING),
            ("experiments/reset.json", "", NO_MAPPING),
            ("experiments/up.json", "", NO_MAPPING),
            ("tests/mappings/epg.json", "/response/transformers/0", TRANSFORMER),
            ("tests/mappings/epgEpisodeTitle.json", "/response/transformers/0", TRANSFORMER),
        ],
    },
    Shipped {
        package: "wiremock-admin-api",
        stubs: 5,
        criteria: 17,
        refused: &[("swagger/wiremock-admin-api.json", "", NO_MAPPING)],
    },
    Shipped {
        package: "wiremock-wiremock-testcontainers-node-0.0.1",
        stubs: 1,
        criteria: 3,
        refused: &[("package.json", "", NO_MAPPING)],
    },
];

/// The JSON files of a package; mappings that stand inside another document, such as an API's examples, become files of their own.
async fn files(package: &str) -> Files {
    let home = peers::install("stubs").await.join(package);
    let all = read(Format::Wiremock, &home).expect("the package");
    let mut files: Files = all.into_iter().filter(|(name, _)| name.ends_with(".json")).collect();
    let documents: Vec<(String, Value)> = files
        .iter()
        .filter_map(|(name, bytes)| Some((name.clone(), serde_json::from_slice(bytes).ok()?)))
        .filter(|(_, document): &(String, Value)| {
            document.get("request").is_none() && document.get("mappings").is_none()
        })
        .collect();
    for (name, document) in documents {
        let mut found = Vec::new();
        embedded(&document, &mut found);
        let stem = name.trim_end_matches(".json");
        let numbered = found.into_iter().enumerate();
        files.extend(
            numbered.map(|(at, stub)| (format!("{stem}/example-{at}.json"), stub.to_string().into_bytes())),
        );
    }
    files
}

/// Mappings inside a document: objects of a request and a response that are no schemas.
fn embedded(value: &Value, found: &mut Vec<Value>) {
    let asks = |request: &Value| request.get("method").or(request.get("url")).is_some_and(Value::is_string);
    match value {
        Value::Object(members) if value["response"].is_object() && asks(&value["request"]) => {
            // The same example stands in several places.
            let stub = Value::Object(members.clone());
            if !found.contains(&stub) {
                found.push(stub);
            }
        }
        Value::Object(members) => members.values().for_each(|value| embedded(value, found)),
        Value::Array(values) => values.iter().for_each(|value| embedded(value, found)),
        _ => {}
    }
}

/// The draft with one of its stubs alone, so that a miss is not another's hit.
fn alone(draft: &Imported, stub: &Value) -> Mocks {
    let mut files = draft.files.clone();
    files.retain(|name, _| !name.starts_with("stubs/"));
    files.insert("stubs/one.yaml".into(), json!({"stubs": [stub]}).to_string().into_bytes());
    serve_draft(&Imported { partner: draft.partner.clone(), files, ..Imported::default() })
}

/// Whether the stub answers its request, and how many criteria were shown to be needed.
async fn proven(draft: &Imported, stub: &Value) -> usize {
    let (mocks, id) = (alone(draft, stub), stub["id"].as_str().expect("an id"));
    prepare(&mocks, "wm", stub, true).await;
    let reply = send(&mocks, "wm", &made(stub, Broken::Nothing)).await;
    assert_eq!(reply.stub(), id, "{stub:#}\n{}", reply.text());
    assert_eq!(u64::from(reply.status), stub["respond"]["status"].as_u64().unwrap_or(200), "{id}");
    let mut proven = 0;
    for (broken, criterion) in mutations(stub) {
        prepare(&mocks, "wm", stub, true).await;
        let reply = send(&mocks, "wm", &made(stub, broken)).await;
        let failed = failed(&mocks, &reply, id).await;
        assert!(
            failed.iter().any(|name| name.starts_with(&criterion)),
            "{id}: {criterion} is not among {failed:?}"
        );
        proven += 1;
    }
    if stub["state"]["in"].is_array() {
        prepare(&mocks, "wm", stub, false).await;
        let reply = send(&mocks, "wm", &made(stub, Broken::Nothing)).await;
        let failed = failed(&mocks, &reply, id).await;
        let machine = format!("state {} of all", stub["state"]["machine"].as_str().expect("a machine"));
        assert_eq!(failed, [machine], "{id}");
        proven += 1;
    }
    proven
}

/// A draft of each file alone: others load them one by one, and among all of them one may stand in another's way.
fn each(files: &Files) -> Vec<(String, Imported)> {
    let bodies = files.iter().filter(|(name, _)| name.contains("__files/"));
    let bodies: Files = bodies.map(|(name, bytes)| (name.clone(), bytes.clone())).collect();
    let alone = |(name, bytes): (&String, &Vec<u8>)| {
        let mut one = bodies.clone();
        one.insert(name.clone(), bytes.clone());
        (name.clone(), imported(&one, "wm"))
    };
    files.iter().filter(|(name, _)| !name.contains("__files/")).map(alone).collect()
}

#[tokio::test]
async fn mappings_shipped_by_others_are_taken_over_and_each_criterion_is_needed() {
    for shipped in SHIPPED {
        let (mut hit, mut criteria) = (0, 0);
        for (_, draft) in each(&files(shipped.package).await) {
            for stub in stubs(&draft) {
                criteria += proven(&draft, &stub).await;
                hit += 1;
            }
        }
        println!("{}: {hit} stubs hit, {criteria} criteria shown to be needed", shipped.package);
        assert_eq!((hit, criteria), (shipped.stubs, shipped.criteria), "{}", shipped.package);
    }
}

#[tokio::test]
async fn what_is_refused_of_others_names_file_place_and_reason() {
    for shipped in SHIPPED {
        let files = files(shipped.package).await;
        let mut refused = BTreeMap::new();
        for (file, draft) in each(&files) {
            assert_eq!(draft.report.refused.len() + draft.report.imported.len(), 1, "{file}");
            for one in draft.report.refused {
                let document: Value = serde_json::from_slice(&files[&file]).expect("JSON");
                assert!(document.pointer(&one.pointer).is_some() && !one.reason.is_empty(), "{one:?}");
                assert_eq!(one.file, file);
                refused.insert(one.file, (one.pointer, one.reason));
            }
        }
        for (file, pointer, reason) in shipped.refused {
            let told = refused.remove(*file).unwrap_or_else(|| panic!("{file} is not refused"));
            assert!(told.0 == *pointer && told.1.contains(reason), "{file}: {told:?}");
        }
        assert!(refused.is_empty(), "{}: {refused:#?}", shipped.package);
    }
}

#[tokio::test]
async fn a_whole_package_is_one_draft_and_what_another_file_hides_is_refused_by_name() {
    let draft = imported(&files("snowflake-sdk-2.1.0").await, "wm");
    let hidden = draft.report.refused.iter().filter(|one| one.reason.contains("is tried before it")).count();
    assert_eq!(hidden, 3, "{:#?}", draft.report.refused);
    assert!(serve_draft(&draft).server.partners().len() == 1 && stubs(&draft).len() > 10);
}
