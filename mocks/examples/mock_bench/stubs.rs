//! The stubs that are measured: told apart by equality of a body's field, answered by a template that reads the body. The same in
//! our form and in WireMock's.
use std::fs;

use serde_json::json;

use crate::Result;

/// Stubs of one file.
const FILE: usize = 5_000;

/// A folder of mock partners: one with a single static stub, or with that many.
pub fn ours(stubs: usize) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    fs::create_dir_all(folder.path().join("p/stubs"))?;
    let mut head = "mock: v1\npartner: p\ntitle: t\nlisten: [{id: r, proto: http, path: /p}]\n".to_owned();
    if stubs == 0 {
        head.push_str("stubs:\n  - {id: s, respond: {json: {code: \"0\", msg: ok}}}\n");
    }
    fs::write(folder.path().join("p/partner.yaml"), head)?;
    for file in 0..stubs.div_ceil(FILE) {
        let mut text = "stubs:\n".to_owned();
        for n in file * FILE..stubs.min((file + 1) * FILE) {
            text.push_str(&format!(
                "  - {{id: s{n}, when: {{method: POST, all: [{{json: $.request.body.idNo, equals: \"{n:08}\"}}]}}, respond: {{json: {{code: \"0\", n: {n}, id: \"${{request.body.idNo}}\"}}}}}}\n"
            ));
        }
        fs::write(folder.path().join(format!("p/stubs/{file:03}.yaml")), text)?;
    }
    Ok(folder)
}

/// A root folder of WireMock.
pub fn wiremock(stubs: usize) -> Result<tempfile::TempDir> {
    let folder = tempfile::tempdir()?;
    fs::create_dir_all(folder.path().join("mappings"))?;
    let mappings: Vec<_> = if stubs == 0 {
        vec![json!({"request": {"urlPath": "/p"}, "response": {"jsonBody": {"code": "0", "msg": "ok"}}})]
    } else {
        (0..stubs)
            .map(|n| {
                json!({
                    "request": {"method": "POST", "urlPath": "/p", "bodyPatterns": [
                        {"matchesJsonPath": {"expression": "$.body.idNo", "equalTo": format!("{n:08}")}}]},
                    "response": {"transformers": ["response-template"],
                        "jsonBody": {"code": "0", "n": n, "id": "{{jsonPath request.body '$.body.idNo'}}"}},
                })
            })
            .collect()
    };
    fs::write(folder.path().join("mappings/all.json"), json!({ "mappings": mappings }).to_string())?;
    Ok(folder)
}

/// A request to stub `n`.
pub fn body(n: usize) -> String {
    format!(
        r#"{{"header":{{"bizNo":"B{n}","itemCode":"MZ-0231"}},"body":{{"idNo":"{n:08}","name":"张三","age":70}}}}"#
    )
}
