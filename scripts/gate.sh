#!/usr/bin/env bash
# Fails when a forwarded, governed and recorded request takes more than five system calls of the whole process. A count, not a
# time: noise cannot touch it. Where tracing is not permitted it says so and passes.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! strace -o /dev/null true 2>/dev/null; then
  echo "gate: strace may not trace here; the system call gate did not run" >&2
  exit 0
fi
exec target/debug/qiao-bench calls target/debug/qiao
