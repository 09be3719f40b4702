#!/usr/bin/env bash
# Fuzzes one parser, or each in turn, with libFuzzer on stable Rust; needs a C++ compiler. docs/fuzzing.md explains.
# usage: scripts/fuzz.sh TARGET|all SECONDS    exit 1 when any crashed; the inputs are in target/fuzz/crashes
# Inputs that reach something new are kept in target/fuzz/corpus; fuzz/corpus holds the few that tests replay.
set -euo pipefail
cd "$(dirname "$0")/.."
chosen=${1:?which target? see fuzz/src/lib.rs, or say all}
seconds=${2:?for how many seconds?}

# Only the crates of this repository are instrumented, so that everything below them is shared with other builds.
export RUSTC_WORKSPACE_WRAPPER=$PWD/scripts/rustc-coverage.sh
cargo build --locked -p qiao-fuzz --features libfuzzer --bin fuzz
mkdir -p target/fuzz/crashes

run() {
  local target=$1 found=target/fuzz/corpus/$1 log=target/fuzz/$1.log
  mkdir -p "$found"
  if ! QIAO_FUZZ_TARGET=$target nice -n 19 target/debug/fuzz "$found" "fuzz/corpus/$target" \
    -max_total_time="$seconds" -max_len=8192 -timeout=10 -rss_limit_mb=1024 -malloc_limit_mb=256 \
    -artifact_prefix="target/fuzz/crashes/$target-" -print_final_stats=1 -verbosity=1 >"$log" 2>&1; then
    grep -E 'panicked|ERROR|Test unit written|assertion|left:|right:' -A1 "$log" | tail -n 20
    echo "fuzz: $target failed; the whole log is $log" >&2
    return 1
  fi
  local runs covered
  runs=$(grep -oP 'number_of_executed_units: \K\d+' "$log")
  covered=$(grep -oP 'cov: \K\d+' "$log" | tail -n 1)
  echo "$target: $runs inputs in $seconds s, $covered edges, $(find "$found" -type f | wc -l) inputs kept"
}

if [ "$chosen" = all ]; then
  failed=0
  for folder in fuzz/corpus/*/; do run "$(basename "$folder")" || failed=1; done
  exit "$failed"
else
  run "$chosen"
fi
