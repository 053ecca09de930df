# `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help
help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Runs the whole suite in one process, on SQLite, in ./data
	cargo run

.PHONY: build
build: ## Builds every program, optimised
	cargo build --workspace --bins --release

.PHONY: test
test: ## Runs every test; installs what they need, and starts a PostgreSQL and a RabbitMQ of its own
	@scripts/test.sh

.PHONY: test-fast
test-fast: ## Runs the tests that need no server
	cargo test --workspace

.PHONY: chaos
chaos: ## Injects faults under load and checks that nothing is lost; SEED=… and ROUNDS=… repeat a run
	@SEED="$(SEED)" ROUNDS="$(ROUNDS)" scripts/chaos.sh

.PHONY: lint
lint: ## Checks the code with clippy and the contracts with buf
	cargo clippy --workspace --all-targets -- -D warnings
	@scripts/contracts.sh

.PHONY: contracts
contracts: ## Checks proto/: buf's lint rules, and that nothing breaks a client
	@scripts/contracts.sh

.PHONY: fmt
fmt: ## Formats the code
	cargo fmt --all

.PHONY: docs
docs: ## Builds the documentation of the crates
	cargo doc --workspace --no-deps

.PHONY: ci
ci: ## Runs what every change has to pass
	.ci/run

.PHONY: clean
clean: ## Deletes builds and test tools; keeps ./data
	cargo clean
	rm -rf .test-tools
