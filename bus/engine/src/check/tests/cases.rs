//! The table of mistakes: file, text replaced, replacement, and the lines that come of it.

pub(super) type Case = (&'static str, &'static str, &'static str, &'static [&'static str]);

const ASKED: &str = "  - id: asked\n";

#[rustfmt::skip]
pub(super) const MISTAKES: &[Case] = &[
    // Form.
    ("systems/hrss", "timeout: 2s", "timeout: 2", &[
        "systems/hrss.yaml:5:10: timeout: wanted text: A length of time: 500ms, 2s, 5m, 1h, 1d; found the number 2",
    ]),
    ("systems/hrss", "timeout: 2s", "timeout: 2 s", &[
        "systems/hrss.yaml:5:10: timeout: wanted text: A length of time: 500ms, 2s, 5m, 1h, 1d",
    ]),
    ("systems/hrss", "protocol: http", "protocol: htpp", &[
        "systems/hrss.yaml:3:11: protocol: wanted `http`, `soap-1.1` or `soap-1.2`, found `htpp`; did you mean `http`?",
    ]),
    ("systems/hrss", "limits: {concurrent: 8}", "limits: {concurent: 8}", &[
        "systems/hrss.yaml:7:10: limits.concurent: unknown key; did you mean `concurrent`?",
    ]),
    ("systems/hrss", "attempts: 2,", "attempts: 11,", &[
        "systems/hrss.yaml:8:19: retry.attempts: wanted 1 to 10, found 11",
    ]),
    ("systems/hrss", "changing: false", "changing: no", &[
        "systems/hrss.yaml:18:15: operations.query.changing: wanted true or false, found text; write `false`",
    ]),
    ("systems/hrss", "value: \"vault:hrss/key\"", "value: Hunter2", &[
        "systems/hrss.yaml:10:43: credential.header.value: wanted: Reference of the value: `vault:…` (pattern `^vault:`)",
    ]),
    ("systems/hrss", "title: 查询\n", "title: 查询\n    title: 再查\n", &[
        "systems/hrss.yaml:18:5: operations.query.title: key given twice, first in line 17; keep one of them",
    ]),
    ("apps/one", "interface: apps.one", "interface: apps.two", &[
        "interfaces/apps/one.yaml:1:12: interface: `apps.two` in the file of `apps.one`; the id is the file's name; an interface's is `<folder>.<file>`",
    ]),
    ("callers/portal", "title: 门户\n", "", &[
        "callers/portal.yaml:1:1: `title` is missing",
    ]),
    ("tables/sex", "男: \"1\"", "男: 1", &[
        "tables/sex.yaml:3:14: entries.男: wanted text, found the number 1; put it in quotes",
    ]),
    ("tables/sex", "男: \"1\"", "01: \"1\"", &[
        "tables/sex.yaml:3:11: entries: a key must be text; put it in quotes",
    ]),
    ("apps/one", "from: $.request.idNo", "form: $.request.idNo", &[
        "interfaces/apps/one.yaml:17:22: flow[0].call.with[0].form: unknown key; did you mean `from`?",
    ]),
    // References.
    ("apps/one", "system: hrss", "system: hrs", &[
        "interfaces/apps/one.yaml:13:15: flow[0].call.system: there is no system `hrs`; did you mean `hrss`?",
    ]),
    ("apps/one", "operation: query", "operation: delete", &[
        "interfaces/apps/one.yaml:14:18: flow[0].call.operation: system `hrss` offers no operation `delete`; known here: query, update",
    ]),
    ("systems/hrss", "open: {envelope: light,", "open: {envelope: ligth,", &[
        "systems/hrss.yaml:19:52: operations.query.answer.open.envelope: the system has no envelope `ligth`; did you mean `light`?",
    ]),
    ("callers/portal", "{key: \"vault:portal/key\"}", "{}", &[
        "callers/portal.yaml:3:1: credential: exactly one of `key` and `envelope`",
    ]),
    ("callers/portal", "{key: \"vault:portal/key\"}", "{envelope: {system: civil, envelope: light}}", &[
        "callers/portal.yaml:3:33: credential.envelope.system: there is no system `civil`; known here: hrss",
    ]),
    ("callers/portal", "{key: \"vault:portal/key\"}", "{envelope: {system: hrss, envelope: heavy}}", &[
        "callers/portal.yaml:3:49: credential.envelope.envelope: system `hrss` has no envelope `heavy`; known here: light",
    ]),
    ("grants/portal", "caller: portal", "caller: portall", &[
        "grants/portal.yaml:2:9: caller: there is no caller `portall`; did you mean `portal`?",
    ]),
    ("grants/portal", "[apps.one]", "[apps.*, permit.*]", &[
        "grants/portal.yaml:3:22: interfaces[1]: `permit.*` covers no interface; known here: apps.one",
    ]),
    ("apps/one", "      timeout: 2s\n", "      timeout: 2s\n      degrade: {alternative: {system: hrss, operation: nothing}}\n", &[
        "interfaces/apps/one.yaml:16:56: flow[0].call.degrade.alternative.operation: system `hrss` offers no operation `nothing`; known here: query, update",
    ]),
    // Shape.
    ("apps/one", ASKED, "  - {title: 空}\n  - id: asked\n", &[
        "interfaces/apps/one.yaml:11:5: flow[0]: a step without a kind; exactly one of call, map, set, validate, branch, parallel, each, respond, fail",
    ]),
    ("apps/one", ASKED, "  - id: asked\n    set: {x: 1}\n", &[
        "interfaces/apps/one.yaml:11:5: flow[0]: a step of several kinds: call, set; exactly one of call, map, set, validate, branch, parallel, each, respond, fail",
    ]),
    ("apps/one", "respond: {body: {n: \"${asked.months}\"}}", "respond: {body: 1, from: $.asked}", &[
        "interfaces/apps/one.yaml:29:18: flow[2].branch[0].steps[0].respond: exactly one of `body`, `from` and `map`",
    ]),
    ("apps/one", "respond: {body: {n: \"${asked.months}\"}}", "respond: {}", &[
        "interfaces/apps/one.yaml:29:18: flow[2].branch[0].steps[0].respond: exactly one of `body`, `from` and `map`",
    ]),
    ("apps/one", "flow:\n", "forward: {system: hrss, operation: query}\nflow:\n", &[
        "interfaces/apps/one.yaml:11:1: flow: a flow beside `forward`; keep one of them",
    ]),
    ("+interfaces/apps/two.yaml", "", "interface: apps.two\ntitle: 二\npattern: async\n", &[
        "interfaces/apps/two.yaml:1:1: neither `flow` nor `forward`; add the steps under `flow`",
    ]),
    ("apps/one", "      - when: asked.months > 6 && outcomes.left.is == 'ok'\n        steps", "      - steps", &[
        "interfaces/apps/one.yaml:28:9: flow[2].branch[0].when: an arm without `when` always holds: the arms after it never run; move it to the end",
    ]),
    ("apps/one", "    parallel:\n", "    parallel:\n      join: n-of-m\n      need: 3\n", &[
        "interfaces/apps/one.yaml:23:13: flow[1].parallel.need: 3 of 2 branches; wanted 1 to 2",
    ]),
    ("apps/one", "    parallel:\n", "    parallel:\n      join: n-of-m\n", &[
        "interfaces/apps/one.yaml:21:5: flow[1].parallel.need: `n-of-m` without `need`; add `need`, 1 to 2",
    ]),
    ("apps/one", "    parallel:\n", "    parallel:\n      need: 1\n", &[
        "interfaces/apps/one.yaml:22:13: flow[1].parallel.need: only `join: n-of-m` takes `need`; leave it out",
    ]),
    ("apps/one", "      branches:\n        - name: left\n          steps: [{id: a, map: [{to: sex, from: $.request.sex, apply: [lookup(sex)]}]}]\n        - name: right\n", "      join: first\n      branches:\n        - name: left\n", &[
        "interfaces/apps/one.yaml:22:13: flow[1].parallel.join: `first` of one branch; add a branch or leave `join` out",
    ]),
    ("apps/one", ASKED, "  - each: {over: $.request.idNo, need: 2, steps: [{set: {x: 1}}]}\n  - id: asked\n", &[
        "interfaces/apps/one.yaml:11:40: flow[0].each.need: only `onFault: continue` takes `need`; leave it out",
    ]),
    ("apps/one", "      timeout: 2s\n", "      timeout: 2s\n      degrade: {on: [timeout]}\n", &[
        "interfaces/apps/one.yaml:16:7: flow[0].call.degrade: names no stand-in; at least one of `alternative`, `lastGood` and `static`",
    ]),
    // Names.
    ("apps/one", "- name: right", "- name: left", &[
        "interfaces/apps/one.yaml:25:17: flow[1].parallel.branches[1].name: `left` is taken already, at flow[1].parallel.branches[0].name; ids and branch names are unique within an interface",
    ]),
    ("apps/one", "id: a,", "id: asked,", &[
        "interfaces/apps/one.yaml:24:24: flow[1].parallel.branches[0].steps[0].id: `asked` is taken already, at flow[0].id; ids and branch names are unique within an interface",
    ]),
    ("apps/one", "id: a,", "id: request,", &[
        "interfaces/apps/one.yaml:24:24: flow[1].parallel.branches[0].steps[0].id: `request` names a document of the bus; choose another name",
    ]),
    ("apps/one", "outcomes.left", "outcomes.lfet", &[
        "interfaces/apps/one.yaml:28:15: flow[2].branch[0].when: there is no step or branch `lfet`; did you mean `left`?",
    ]),
    // What a step can see.
    ("apps/one", "${asked.months}", "${a.sex}", &[
        "interfaces/apps/one.yaml:26:36: flow[1].parallel.branches[1].steps[0].set.x: `a` runs at the same time, at flow[1].parallel.branches[0].steps[0]; read it after the parallel step",
    ]),
    ("apps/one", "$.request.idNo}", "$.both.x}", &[
        "interfaces/apps/one.yaml:17:11: flow[0].call.with[0]: `both` runs later, at flow[1]; move this step behind it",
    ]),
    ("apps/one", "$.request.idNo}", "$.asked.x}", &[
        "interfaces/apps/one.yaml:17:11: flow[0].call.with[0]: `asked` is this step's own result; read it in a later step",
    ]),
    ("apps/one", "$.request.idNo}", "$.reqest.idNo}", &[
        "interfaces/apps/one.yaml:17:11: flow[0].call.with[0]: there is no document or step `reqest`; did you mean `request`?",
    ]),
    ("apps/one", ASKED, "  - {id: list, each: {over: $.request.idNo, steps: [{id: one, set: {x: \"${item}\"}}]}}\n  - {set: {y: \"${item}\", z: \"${one}\"}}\n  - id: asked\n", &[
        "interfaces/apps/one.yaml:12:15: flow[1].set.y: `item` is known only inside the each step, at flow[0].each; collect it and read the step's result",
        "interfaces/apps/one.yaml:12:29: flow[1].set.z: `one` is known only inside the each step, at flow[0].each.steps[0]; collect it and read the step's result",
    ]),
    ("apps/one", "  - branch:\n", "  - branch: [{when: \"true\", steps: [{id: p, set: {x: 1}}]}, {steps: [{set: {x: \"${p}\"}}]}]\n  - branch:\n", &[
        "interfaces/apps/one.yaml:27:80: flow[2].branch[1].steps[0].set.x: `p` is in another arm, at flow[2].branch[0].steps[0], which does not run then; read it after the branch",
    ]),
    ("apps/one", "  - branch:\n", "  - {id: l, each: {over: $.l, as: x, steps: [{set: {x: \"${x + l[0]}\"}}], collect: \"${y}\"}}\n  - branch:\n", &[
        "interfaces/apps/one.yaml:27:26: flow[2].each.over: `l` is this step's own result; read it in a later step",
        "interfaces/apps/one.yaml:27:56: flow[2].each.steps[0].set.x: `l` is this step's own result; read it in a later step",
        "interfaces/apps/one.yaml:27:83: flow[2].each.collect: there is no document or step `y`; known here: request, headers, caller, call, vars, outcomes, asked, a, b, both, x, index",
    ]),
    // Answers.
    ("apps/one", "      - steps: [{fail: {code: \"1\", text: 不足}}]\n", "", &[
        "interfaces/apps/one.yaml:27:5: flow[2].branch: when no arm holds, nothing answers: the last arm needs no `when`; end it with `respond` or `fail`",
    ]),
    ("apps/one", "[{fail: {code: \"1\", text: 不足}}]", "[{set: {x: 1}}]", &[
        "interfaces/apps/one.yaml:30:17: flow[2].branch[1].steps[0]: the flow can end after this step without an answer; end it with `respond` or `fail`",
    ]),
    ("apps/one", "[{fail: {code: \"1\", text: 不足}}]", "[]", &[
        "interfaces/apps/one.yaml:30:9: flow[2].branch[1].steps: no steps, and so no answer; end it with `respond` or `fail`",
    ]),
    ("apps/one", "[{fail: {code: \"1\", text: 不足}}]", "[{when: \"true\", fail: {code: \"1\", text: 不足}}]", &[
        "interfaces/apps/one.yaml:30:24: flow[2].branch[1].steps[0].when: when this does not hold, nothing answers; end it with `respond` or `fail`",
    ]),
    ("apps/one", ASKED, "  - respond: {body: 1}\n  - id: asked\n", &[
        "interfaces/apps/one.yaml:12:5: flow[1]: never runs: the flow has ended at flow[0]; move it before, or leave it out",
    ]),
    // Partners.
    ("systems/hrss", "endpoints: {mock: [{url: \"http://127.0.0.1:8090/hrss\"}]}\n", "", &[
        "systems/hrss.yaml:1:1: endpoints: a protocol, but no endpoint; add `endpoints: {live: [{url: …}]}` or `mock`",
    ]),
    ("systems/hrss", "http://127.0.0.1:8090/hrss", "http://user:pass@127.0.0.1/", &[
        "systems/hrss.yaml:4:26: endpoints.mock[0].url: a URL holds no user or password: use `credential`",
    ]),
    ("systems/hrss", "http://127.0.0.1:8090/hrss", "http://127.0.0.1:99999/", &[
        "systems/hrss.yaml:4:26: endpoints.mock[0].url: a port is a number from 1 to 65535",
    ]),
    ("systems/hrss", "protocol: http\n", "", &[
        "systems/hrss.yaml:14:1: operations: a system without a protocol offers nothing; add `protocol: http`",
    ]),
    ("systems/hrss", "{concurrent: 8}", "{concurrent: 0}", &[
        "systems/hrss.yaml:7:22: limits.concurrent: wanted at least 1, found 0",
    ]),
    ("systems/hrss", "connectTimeout: 500ms", "connectTimeout: 3s", &[
        "systems/hrss.yaml:6:17: connectTimeout: 3s is longer than the whole attempt may take (2s)",
    ]),
    ("systems/hrss", "first: 50ms", "first: 5s", &[
        "systems/hrss.yaml:8:29: retry.first: 5s is longer than the longest wait (1s)",
    ]),
    ("systems/hrss", "path: /health", "path: health", &[
        "systems/hrss.yaml:9:16: health.path: a path starts with `/`",
    ]),
    ("systems/hrss", "every: 10s", "every: 500ms", &[
        "systems/hrss.yaml:9:48: health.timeout: longer than the time between two checks",
    ]),
    ("systems/hrss", "{header: {name: X-Key, value: \"vault:hrss/key\"}}", "{}", &[
        "systems/hrss.yaml:10:1: credential: exactly one of `basic` and `header`",
    ]),
    ("systems/hrss", "  - {is: ok}\n", "  - {is: ok}\n  - {when: status == 201, is: done}\n", &[
        "systems/hrss.yaml:15:5: judge[2]: never applies: rule judge[1] always does; give that rule a `when` or move it to the end",
    ]),
    // Contracts and examples.
    ("apps/one", "    required: [idNo]\n", "    required: idNo\n", &[
        "interfaces/apps/one.yaml:8:15: contract.request.required: not a JSON Schema 2020-12: value is not of type \"array\"",
    ]),
    ("systems/hrss", "    returns:\n      type: object", "    returns:\n      type: objekt", &[
        "systems/hrss.yaml:25:13: operations.query.returns.type: not a JSON Schema 2020-12: value is not valid under any of the schemas listed in the 'anyOf' keyword; types are string, number, integer, boolean, array, object and null",
    ]),
    ("apps/one", "310101199001010012", "3101", &[
        "interfaces/apps/one.yaml:32:50: examples[0].request.idNo: does not fit contract.request: wanted text of the pattern `^[0-9]{18}$`",
    ]),
    ("apps/one", "{idNo: \"310101199001010012\"}", "{sex: 男}", &[
        "interfaces/apps/one.yaml:32:34: examples[0].request: does not fit contract.request: `idNo` is missing",
    ]),
    ("apps/one", "caller: portal,", "caller: portla,", &[
        "interfaces/apps/one.yaml:32:26: examples[0].caller: there is no caller `portla`; did you mean `portal`?",
    ]),
    ("grants/portal", "[apps.one]", "[apps.two]", &[
        "grants/portal.yaml:3:14: interfaces[0]: `apps.two` covers no interface; known here: apps.one",
    ]),
    ("apps/one", "body.n > 0", "boddy.n > 0", &[
        "interfaces/apps/one.yaml:32:89: examples[0].expect.that[0]: there is no document `boddy` here; known here: status, headers, body, request",
    ]),
    ("apps/one", "body.n > 0", "body.n >", &[
        "interfaces/apps/one.yaml:32:89: examples[0].expect.that[0]: line 1, column 9: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}",
    ]),
    // Exposure.
    ("apps/one", "deadline: 5s\n", "deadline: 5s\nexpose: {path: /apps/*}\n", &[
        "interfaces/apps/one.yaml:5:16: expose.path: only a forwarded interface may end in `/*`; leave it out, or use `forward`",
    ]),
    ("apps/one", "deadline: 5s\n", "deadline: 5s\nexpose: {path: /a*/b}\n", &[
        "interfaces/apps/one.yaml:5:16: expose.path: `*` stands only at the end, after `/`; write `/…/*`",
    ]),
    ("+interfaces/apps/two.yaml", "", "interface: apps.two\ntitle: 二\npattern: event\nexpose: {path: /apps/one}\nflow: [{set: {x: 1}}]\n", &[
        "interfaces/apps/two.yaml:4:16: expose.path: `/apps/one` is the path of `apps.one` too; give one of them another `expose.path` or other `methods`",
    ]),
    // Fit.
    ("apps/one", "to: idNo,", "to: idno,", &[
        "interfaces/apps/one.yaml:17:16: flow[0].call.with[0].to: the operation accepts no `idno`; did you mean `idNo`?",
    ]),
    ("apps/one", "- {to: idNo, from: $.request.idNo}", "- {to: items, each: $.request.sex, rules: [{to: cod, value: 1}]}\n        - {to: idNo, value: x}", &[
        "interfaces/apps/one.yaml:17:57: flow[0].call.with[0].rules[0].to: the operation accepts no `cod`; did you mean `code`?",
    ]),
    ("apps/one", "- {to: idNo, from: $.request.idNo}", "- {to: items, from: $.request.sex}", &[
        "interfaces/apps/one.yaml:16:7: flow[0].call.with: `idNo`, which the operation requires, is not built; add a rule `to: idNo`",
    ]),
    ("apps/one", "$.request.idNo}", "$.request.idno}", &[
        "interfaces/apps/one.yaml:17:28: flow[0].call.with[0].from: there is no `idno` in contract.request; did you mean `idNo`?",
    ]),
    ("apps/one", "$.body.months", "$.body.month", &[
        "interfaces/apps/one.yaml:19:30: flow[0].call.answer[0].from: there is no `month` in the operation's `returns`; did you mean `months`?",
    ]),
];

#[rustfmt::skip]
pub(super) const WARNINGS: &[(&str, &str, &str, [&str; 1])] = &[
    ("+systems/old.yaml", "", "system: old\ntitle: 旧\n", ["systems/old.yaml:1:9: system: no interface or caller uses this system"]),
    ("+tables/old.yaml", "", "table: old\ntitle: 旧\nentries: {}\n", ["tables/old.yaml:1:8: table: no mapping or expression reads this table"]),
    ("+callers/old.yaml", "", "caller: old\ntitle: 旧\ncredential: {key: \"vault:x/y\"}\n", ["callers/old.yaml:1:9: caller: nothing is granted to this caller"]),
    ("systems/hrss", "envelopes: {light", "envelopes: {old: {}, light", ["systems/hrss.yaml:11:13: envelopes.old: no form or caller uses the envelope `old`"]),
    ("apps/one", "timeout: 2s", "timeout: 6s", ["interfaces/apps/one.yaml:15:16: flow[0].call.timeout: 6s is never reached: the interface's deadline is 5s"]),
    ("apps/one", "  - branch:", "  - {call: {system: hrss, operation: update, retry: {attempts: 3}}}\n  - branch:", ["interfaces/apps/one.yaml:27:64: flow[2].call.retry.attempts: `update` changes the partner's state and knows no repeats: repeated only when surely nothing was taken; declare `idempotencyHeader` if the partner honours one"]),
    ("apps/one", "set: {x: \"${asked.months}\"}", "respond: {body: 1}", ["interfaces/apps/one.yaml:26:27: flow[1].parallel.branches[1].steps[0].respond: responds inside a parallel step and cuts off what still runs there; respond after it, from its results"]),
];
