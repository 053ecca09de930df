# `make help` lists the targets.
SHELL := /bin/bash
.DEFAULT_GOAL := help

.PHONY: help
help: ## Lists the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: run
run: ## Runs the whole suite in one process, on SQLite, in ./data
	cargo run

.PHONY: dev
dev: ## The same, built and restarted when a source changes
	@scripts/dev.sh

.PHONY: build
build: ## Builds every program, optimised
	cargo build --workspace --bins --release

.PHONY: pgo
pgo: ## Builds every program by a profile of itself under load, which takes twice as long and makes it a fifth cheaper
	@scripts/pgo.sh

.PHONY: test
test: ## Runs every test with servers of its own; ARGS=… goes to cargo test, such as ARGS="--test e2e"
	@scripts/test.sh $(ARGS)

.PHONY: test-fast
test-fast: ## Runs the tests that need no server
	cargo test --workspace

FUZZ_SECONDS ?= 60
.PHONY: fuzz
fuzz: ## Runs each test of random input for FUZZ_SECONDS; FUZZ_SEED=… repeats one
	FUZZ_SECONDS=$(FUZZ_SECONDS) cargo test --workspace --lib --test suite -- --nocapture --test-threads 2 random_ that_was_changed

.PHONY: chaos
chaos: ## Injects faults under load and checks that nothing is lost; SEED=… and ROUNDS=… repeat a run
	@SEED="$(SEED)" ROUNDS="$(ROUNDS)" scripts/chaos.sh

.PHONY: rolling
rolling: ## Replaces every process in turn under load, and checks that no request fails
	@SEED="$(SEED)" scripts/chaos.sh rolling

.PHONY: bench
bench: ## Measures what requests cost, beside peers and BASELINE=…, and writes docs/performance.md; ONLY=…
	@scripts/bench.sh

.PHONY: bench-quick
bench-quick: ## Checks in a minute that make bench works, and judges no time
	@scripts/bench.sh quick

.PHONY: instructions
instructions: ## Counts instructions and allocations of operations; a rise of more than 3 % fails
	@scripts/instructions.sh

.PHONY: instructions-accept
instructions-accept: ## Makes the counts of now the baseline
	@scripts/instructions.sh accept

.PHONY: coverage
coverage: ## Runs the tests that need no server, and writes which lines they reach to target/llvm-cov/html
	@command -v cargo-llvm-cov >/dev/null || cargo install --locked cargo-llvm-cov
	cargo llvm-cov --workspace --html

.PHONY: test-compose
test-compose: ## Composes the suite for real and tests it, with a private Docker engine where there is none
	@scripts/test-compose.sh $(ARGS)

.PHONY: up
up: ## Builds the image and starts the composed suite; PROFILES="mail observability" and FILES=ports add to it
	@scripts/compose.sh up

.PHONY: start
start: ## The same without building the image
	@scripts/compose.sh start

.PHONY: down
down: ## Stops the composed suite; its data stays
	@scripts/compose.sh down

.PHONY: restart
restart: ## Restarts the composed suite, or SERVICE=…
	@scripts/compose.sh restart $(SERVICE)

.PHONY: logs
logs: ## Follows the logs of the composed suite, or of SERVICE=…
	@scripts/compose.sh logs $(SERVICE)

.PHONY: ps
ps: ## Lists the containers of the composed suite
	@scripts/compose.sh ps

.PHONY: psql
psql: ## Opens psql on the database of SERVICE=… in the composed suite
	@scripts/compose.sh psql $(SERVICE)

.PHONY: shell
shell: ## Opens a shell in a container with the settings of all services of the composed suite
	@scripts/compose.sh shell

.PHONY: upgrade
upgrade: ## Builds the image, migrates the stores of the composed suite, and replaces its containers
	@scripts/compose.sh upgrade

.PHONY: migrate
migrate: ## Applies the pending migrations to the stores of the settings
	cargo run -q -- migrate up

.PHONY: revision
revision: ## Makes the files of a new migration: SERVICE=todos NAME=colours
	@scripts/revision.sh "$(SERVICE)" "$(NAME)"

.PHONY: lint
lint: ## Checks the code with clippy and the contracts with buf
	cargo clippy --workspace --all-targets -- -D warnings
	@scripts/contracts.sh

.PHONY: contracts
contracts: ## Checks proto/: buf's lint rules, and that nothing breaks a client
	@scripts/contracts.sh

.PHONY: manifests
manifests: ## Renders k8s/, validates it, and compares it with what it starts
	@scripts/manifests.sh

.PHONY: observability
observability: ## Checks alerts and dashboards, by themselves and against a running suite
	@scripts/observability.sh

.PHONY: containers
containers: ## Checks the Dockerfile and the composition, without an engine
	@scripts/containers.sh

.PHONY: fmt format
format: fmt ## The same as fmt
fmt: ## Formats the code
	cargo fmt --all

.PHONY: openapi
openapi: ## Writes openapi.json and asyncapi.json into FOLDER, by default api
	@scripts/openapi.sh $(FOLDER)

.PHONY: features
features: ## Writes docs/features.md from the table of features
	@WRITE_FEATURES=yes cargo test --quiet --workspace --test architecture -- features::the_page_is_that_of_the_table

.PHONY: sbom
sbom: ## Writes what the program is made of to target/sbom.json (CycloneDX)
	@command -v cargo-cyclonedx >/dev/null || cargo install --locked cargo-cyclonedx
	cargo cyclonedx --manifest-path deploy/suite/Cargo.toml --format json --override-filename sbom
	@mkdir -p target && mv deploy/suite/sbom.json target/sbom.json && find . -path ./target -prune -o -name sbom.json -exec rm -f {} +

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
