# The front door: `make run` to use it, `make test` to check it.
#
#   make run    builds the dashboard and the release binary and starts it; ARGS="--http 127.0.0.1:8000" go to `serve`
#   make demo   the same with realistic logs and attacks in them, until stopped
#   make test   everything the project checks by itself; as root it installs the tools it needs and says which
#   make bench  measures the release binary as a server of its own: CPU, disk, memory, queries; JSON out
#   make fuzz   each parser for a minute against made-up input (docs/FUZZING.md); half an hour on two processors
#   make check  formatting, lints and house rules: a minute, for before a commit
#   make ui     the dashboard alone, when its sources are newer than what is built

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help run demo bench ui test fuzz check tools

ARGS ?=
UI_SOURCES := $(shell find web/ui \( -name node_modules -o -name dist -o -name test \) -prune -o -type f -print 2>/dev/null)

help:
	@sed -n '3,9s/^#  //p' Makefile

run: ui
	cargo build --release --locked --package logwarden
	exec target/release/logwarden serve $(ARGS)

demo: ui
	cargo build --release --locked --package logwarden
	exec target/release/logwarden demo $(ARGS)

bench: ui
	cargo build --release --locked --package logwarden
	exec target/release/logwarden bench search $(ARGS)

# npm takes what the lock file names and runs no package's install script.
ui: web/ui/dist/index.html
web/ui/dist/index.html: $(UI_SOURCES)
	cd web/ui
	npm install --no-save --ignore-scripts --no-audit --no-fund
	npm run build
	touch dist/index.html

tools:
	@scripts/test-tools.sh

test: tools ui
	scripts/test.sh

fuzz:
	@scripts/fuzz.sh $(ARGS)

check: ui
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	cargo test --quiet --locked --workspace --test tidy
