#!/usr/bin/env bash
# Installs what Qiao's commands need on a Debian machine: a C compiler, make, perl, the load generator and tracer of the
# system call gate, Python and Node for the clients of others that tests use, cargo-nextest. Does nothing when all is there.
set -euo pipefail

as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"
  elif command -v sudo >/dev/null; then sudo "$@"
  else
    echo "setup: '$*' needs root: run it as root, or install sudo" >&2
    exit 1
  fi
}

missing=()
want() { command -v "$1" >/dev/null || missing+=("$2"); }
want cc build-essential
want make make
want perl perl
want curl curl
want taskset util-linux
want wrk wrk
want strace strace
want sftp openssh-client # an ordinary SFTP client for the mock partners' tests
want openssl openssl # the vault's tests check themselves against it
want flock util-linux
want python3 python3 # clients of others that tests call mock partners with: scripts/peers.sh
want npm npm
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3-venv)
want rabbitmqctl rabbitmq-server # a private instance for the tests that speak AMQP

if [ ${#missing[@]} -gt 0 ]; then
  if ! command -v apt-get >/dev/null; then
    echo "setup: please install: ${missing[*]} (apt-get is not here to do it)" >&2
    exit 1
  fi
  as_root apt-get update -qq
  # RUNLEVEL=1: services that come with a package are not started
  as_root env RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
fi

if ! command -v cargo >/dev/null; then
  echo "setup: Rust 1.95 or later is needed (rustup.rs, or your distribution's package)" >&2
  exit 1
fi

if ! cargo nextest --version >/dev/null 2>&1; then
  echo "setup: installing cargo-nextest (once, a few minutes)"
  cargo install --locked cargo-nextest
fi
