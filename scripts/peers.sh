#!/usr/bin/env bash
# Installs the clients of others that tests call Qiao with, pinned under tests/peers, into target/peers, once.
# usage: scripts/peers.sh python|node    prints the folder: python gives bin/python there, node is run inside it
set -euo pipefail
cd "$(dirname "$0")/.."
kind=${1:?python or node}
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
  *)
    echo "peers: python or node" >&2
    exit 2
    ;;
esac
echo "$home/$kind"
