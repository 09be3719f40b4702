#!/usr/bin/env bash
# Stands before rustc for crates of this workspace (RUSTC_WORKSPACE_WRAPPER) and has libraries and the fuzzer count the edges
# they take, as libFuzzer reads them. Called by cargo for scripts/fuzz.sh; not by people.
set -euo pipefail
flags=()
case " $* " in
  *" --crate-type proc-macro "* | *" --crate-name build_script_"* | *" --print"*) ;;
  *)
    flags=(
      -Cpasses=sancov-module
      -Cllvm-args=-sanitizer-coverage-level=3
      -Cllvm-args=-sanitizer-coverage-inline-8bit-counters
      -Cllvm-args=-sanitizer-coverage-pc-table
      -Cllvm-args=-sanitizer-coverage-trace-compares
      -Copt-level=1
      -Cdebug-assertions=on
      -Coverflow-checks=on
    )
    ;;
esac
exec "$@" "${flags[@]}"
