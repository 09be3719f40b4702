#!/usr/bin/env bash
# Installs what others have written and tests hold Qiao against, pinned under tests/peers, into target/peers, once.
# usage: scripts/peers.sh python|node|stubs    prints the folder: python gives bin/python there, node is run inside it,
# stubs holds one folder per package that ships WireMock mappings
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:?python, node or stubs}
home=$PWD/target/peers
mkdir -p "$home"
exec 9>"$home/$kind.lock"
flock -w 300 9

need() { command -v "$1" >/dev/null || { echo "peers: $1 is missing: run scripts/setup.sh" >&2; exit 1; }; }

case $kind in
  python)
    need python3
    stamp=$(sha256sum tests/peers/requirements.txt)
    if [ "$(cat "$home/python/stamp" 2>/dev/null)" != "$stamp" ]; then
      rm -rf "$home/python"
      python3 -m venv "$home/python" >&2
      "$home/python/bin/pip" install --quiet --disable-pip-version-check -r tests/peers/requirements.txt >&2
      echo "$stamp" >"$home/python/stamp"
    fi
    ;;
  node)
    need npm
    stamp=$(sha256sum tests/peers/package-lock.json)
    if [ "$(cat "$home/node/stamp" 2>/dev/null)" != "$stamp" ]; then
      rm -rf "$home/node"
      mkdir -p "$home/node"
      cp tests/peers/package.json tests/peers/package-lock.json "$home/node"
      (cd "$home/node" && npm ci --no-audit --no-fund --ignore-scripts >&2)
      echo "$stamp" >"$home/node/stamp"
    fi
    ;;
  stubs)
    need npm
    need python3
    stamp=$(cat tests/peers/stubs/* | sha256sum)
    if [ "$(cat "$home/stubs/stamp" 2>/dev/null)" != "$stamp" ]; then
      rm -rf "$home/stubs"
      mkdir -p "$home/stubs/packed"
      pins=$PWD/tests/peers/stubs
      (
        cd "$home/stubs/packed"
        # Packed only, without what they depend on: nothing of them is run.
        xargs npm pack --silent --ignore-scripts <"$pins/npm.txt" >&2
        python3 -m venv venv >&2
        venv/bin/pip download --quiet --disable-pip-version-check --no-deps --no-binary chaostoolkit-wiremock \
          --require-hashes -r "$pins/pypi.txt" >&2
        sha256sum --quiet --check "$pins/sha256.txt" >&2
        while read -r _ file; do
          mkdir -p "../${file%.t*gz}"
          tar xzf "$file" -C "../${file%.t*gz}" --strip-components=1
        done <"$pins/sha256.txt"
        # Of WireMock itself only what describes its API, with its examples.
        python3 -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extract(sys.argv[2], sys.argv[3])' \
          ../wiremock-*/build/wiremock-standalone-*.jar swagger/wiremock-admin-api.json ../wiremock-admin-api
        rm -rf ../wiremock-[0-9]*
      )
      rm -rf "$home/stubs/packed"
      echo "$stamp" >"$home/stubs/stamp"
    fi
    ;;
  *)
    echo "peers: python, node or stubs" >&2
    exit 2
    ;;
esac
echo "$home/$kind"
