#!/usr/bin/env bash
# Benchmarks the vault against OpenSSL and the bus against its peers in one run and writes docs/benchmarks.{md,json}.
# SECONDS_PER_WINDOW and ROUNDS may be set; the machine should be quiet.
set -euo pipefail
cd "$(dirname "$0")/.."

as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi; }
missing=()
for pair in openssl:openssl wrk:wrk nginx:nginx-light strace:strace taskset:util-linux; do
  command -v "${pair%%:*}" >/dev/null || missing+=("${pair##*:}")
done
[ -e /usr/lib/nginx/modules/ngx_http_lua_module.so ] || missing+=(libnginx-mod-http-lua)
[ -e /usr/share/doc/lua-cjson ] || missing+=(lua-cjson)
if [ ${#missing[@]} -gt 0 ]; then
  as_root apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

ulimit -n 16384
cargo build --release --locked -p qiao -p qiao-bench
cargo build --release --locked -p qiao-vault --example crypto_bench
target/release/examples/crypto_bench >docs/benchmarks-crypto.md
exec target/release/qiao-bench run target/release/qiao docs/benchmarks "${SECONDS_PER_WINDOW:-5}" "${ROUNDS:-5}"
