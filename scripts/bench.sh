#!/usr/bin/env bash
# Benchmarks the vault against OpenSSL, the mock partners against bare hyper and WireMock, and the bus against its peers in one run and writes docs/benchmarks.{md,json}.
# SECONDS_PER_WINDOW and ROUNDS may be set; the machine should be quiet.
set -euo pipefail
cd "$(dirname "$0")/.."
WIREMOCK=3.13.2

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
cargo build --release --locked -p qiao-mocks --example mock_bench

# WireMock stands beside the mock partners where Java is there
beside=()
if command -v java >/dev/null && command -v npm >/dev/null; then
  jar=target/peers/wiremock-standalone-$WIREMOCK.jar
  if [ ! -e "$jar" ]; then
    mkdir -p target/peers
    packed=$(cd target/peers && npm pack --silent "wiremock@$WIREMOCK")
    tar xzf "target/peers/$packed" -O "package/build/wiremock-standalone-$WIREMOCK.jar" >"$jar"
  fi
  beside=(--wiremock "$jar")
fi

target/release/examples/crypto_bench >docs/benchmarks-crypto.md
target/release/examples/mock_bench "${beside[@]}" >docs/benchmarks-mocks.md
exec target/release/qiao-bench run target/release/qiao docs/benchmarks "${SECONDS_PER_WINDOW:-5}" "${ROUNDS:-5}"
