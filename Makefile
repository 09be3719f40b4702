# Qiao's commands. `make demo` and `make test` do all of their own set-up on a fresh Debian machine.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
export CARGO_TERM_COLOR ?= auto

.PHONY: help demo test bench lint schema setup

help: ## Lists the commands
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: ## Installs what building and testing need (Debian packages, as root or through sudo)
	@bash scripts/setup.sh

demo: setup ## Runs the whole product: bus, mock partners, a trickle of calls. Ctrl-C ends it
	@cargo build --release --locked -p qiao
	@exec target/release/qiao demo

test: setup lint ## Formatting, lints, the system call gate and every test
	@cargo build --workspace --locked
	@bash scripts/gate.sh
	@bash scripts/tongsuo.sh
	@cargo nextest run --workspace --locked

lint: ## Formatting and clippy, warnings refused
	@cargo fmt --all --check
	@cargo clippy --workspace --all-targets --locked -- -D warnings

schema: ## Writes docs/schema from the types of definitions, mock partners and settings
	@cargo run --locked -p qiao --example write_schemas

bench: setup ## Benchmarks against peers; writes docs/benchmarks.md
	@bash scripts/bench.sh
