#!/usr/bin/env bash
# Runs the vault's tests on both providers, Tongsuo against the pure one: every operation both ways on a thousand keys. Builds Tongsuo
# from source first, once per target folder; needs gcc, perl and make. Arguments go to `cargo nextest run`.
set -euo pipefail
cd "$(dirname "$0")/.."
exec cargo nextest run --locked -p qiao-vault --features tongsuo "$@"
