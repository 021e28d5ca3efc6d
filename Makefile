# The list of verbs. Whatever runs the project's checks calls these and nothing else, so that a person can run the same at a desk.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.ONESHELL:
.PHONY: help build test test-quick lint fmt fmt-check tidy unit bench bench-rescale cluster-up cluster-down images e2e e2e-smoke sim sim-short sim-fresh model fuzz doc deny run-example chaos chaos-tools ci

CARGO ?= cargo
# Seeds of a simulation: SEEDS=FROM..TO. `make test` takes few, `make sim` many.
SEEDS ?= 0..100000
SHORT_SEEDS ?= 0..500
# How many seeds `make sim-fresh` draws for each of the two kinds of job.
FRESH ?= 5000
# Minutes under fire, and the seed (none: another one each time).
MINUTES ?= 5
SEED ?=
# Seconds of each fuzz target.
SECONDS ?= 60
FUZZ_TOOLCHAIN ?= nightly
EXAMPLE ?= examples/wordcount.yaml
# Arguments of the benchmarks.
BENCH ?=

help: ## This list.
	@sed -nE 's/^([a-z0-9-]+):[^#]*## (.*)$$/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

build: ## The command line, optimised: target/release/watershed.
	$(CARGO) build --locked --release -p watershed-cli

test: fmt-check lint unit sim-short ## Everything a change must pass: format, lints, house rules, tests, a short simulation.

test-quick: ## What compiles within seconds: engine, protocols, manifests, house rules; no SQL.
	$(CARGO) test --locked -p watershed-runtime -p watershed-job -p watershed-tidy

# Benchmarks have no tests, and a test program each.
unit: chaos-tools ## Every test of the workspace, with the short fuzz runs and a minute under fire among them.
	$(CARGO) test --locked --workspace --exclude watershed-bench

chaos: chaos-tools ## Real processes under fire for MINUTES=n from SEED=s: killed, frozen, cut apart, storage gone; needs root for the cuts.
	$(CARGO) run --locked -p watershed-chaos -- --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

chaos-tools: ## The S3 server those runs use, built once with Go where Go is installed.
	@bin="$${XDG_CACHE_HOME:-$$HOME/.cache}/watershed/bin"
	if [ ! -x "$$bin/versitygw" ] && command -v go >/dev/null; then
	  GOBIN="$$bin" CGO_ENABLED=0 go install github.com/versity/versitygw/cmd/versitygw@v1.8.0 ||
	    echo "versitygw could not be built: the storage of those runs will be a directory" >&2
	fi

lint: ## Clippy over everything, and over the library without its command line, warnings denied.
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked -p watershed-bench --features grpc --bins -- -D warnings

fmt: ## Formats the code.
	$(CARGO) fmt --all

fmt-check: ## Whether the code is formatted.
	$(CARGO) fmt --all --check

tidy: ## The house rules alone: arrows between crates, sizes, texts.
	$(CARGO) test --locked -p watershed-tidy

sim: ## Many seeded runs of whole jobs under crashes, delays and lying storage: SEEDS=FROM..TO.
	$(CARGO) run --locked --release -p watershed-sim -- --seeds $(SEEDS)

sim-short: ## A few of those runs, of one process and of many: SHORT_SEEDS=FROM..TO.
	$(CARGO) run --locked --release -p watershed-sim -- --seeds $(SHORT_SEEDS)
	$(CARGO) run --locked --release -p watershed-sim -- --cluster --seeds $(SHORT_SEEDS)

sim-fresh: ## Seeds that nobody has run before, from a number drawn anew and printed: FRESH=n of one process and as many of many.
	$(CARGO) run --locked --release -p watershed-sim -- --fresh $(FRESH)
	$(CARGO) run --locked --release -p watershed-sim -- --cluster --fresh $(FRESH)

model: ## The exhaustive models (cut-over, log, adoption, release, recovery) and the archive of seeds, over the production step functions.
	$(CARGO) test --locked --release -p watershed-sim --test model --test cluster --test worlds -- --nocapture

bench: ## The table of benchmarks; writes target/bench/summary.json. BENCH="--only words --reps 3", --big for the long input.
	$(CARGO) build --locked --release -p watershed-bench --features watershed-bench/sql --bins
	$(CARGO) build --locked --release -p watershed-sim -p watershed-runtime --bin watershed-sim --example state_rmw
	"$${CARGO_TARGET_DIR:-target}/release/watershed-bench" $(BENCH)

bench-rescale: ## One job of worker processes with STATE_MB=2048 of state: live rescale, restart, losses; a chart in target/bench/rescale.svg.
	$(CARGO) build --locked --release -p watershed-bench --features watershed-bench/grpc --bin rescale-many
	"$${CARGO_TARGET_DIR:-target}/release/rescale-many"

fuzz: ## Each fuzz target for SECONDS=n seconds; needs cargo-fuzz and a nightly toolchain.
	@if ! $(CARGO) fuzz --version >/dev/null 2>&1; then
	  echo "cargo-fuzz is missing: cargo install cargo-fuzz" >&2
	  exit 1
	fi
	failed=""
	for target in $$(cd fuzz && $(CARGO) +$(FUZZ_TOOLCHAIN) fuzz list); do
	  echo "fuzz $$target for $(SECONDS) s"
	  dictionary="fuzz/dictionaries/$$target.dict"
	  arguments="-max_total_time=$(SECONDS) -timeout=10 -rss_limit_mb=2048"
	  if [ -f "$$dictionary" ]; then arguments="$$arguments -dict=$$dictionary"; fi
	  mkdir -p "fuzz/corpus/$$target"
	  $(CARGO) +$(FUZZ_TOOLCHAIN) fuzz run "$$target" "fuzz/corpus/$$target" "fuzz/seeds/$$target" -- $$arguments || failed="$$failed $$target"
	done
	if [ -n "$$failed" ]; then echo "fuzz targets that found something:$$failed (see fuzz/artifacts)" >&2; exit 1; fi

cluster-up: ## A real Kubernetes on this machine, as root, in network namespaces: e2e/cluster/README.md.
	e2e/cluster/up.sh

cluster-down: ## Takes that cluster away.
	e2e/cluster/down.sh

images: ## Images of worker, operator and the suite's reader from the Dockerfiles, as archives, without a registry.
	e2e/images/build.sh

e2e: ## Every case of the cluster suite, on a cluster of its own; CASES="first scale" for some, with KUBECONFIG on that cluster.
	e2e/run.sh $(CASES)

e2e-smoke: ## The short part of it: install, first job, rescale under load, a worker killed, delete.
	e2e/run.sh --smoke

doc: ## The documentation of every crate, broken links denied.
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps

deny: ## Licences, sources and advisories of dependencies, where cargo-deny is installed.
	@if $(CARGO) deny --version >/dev/null 2>&1; then
	  $(CARGO) deny check
	else
	  echo "cargo-deny is not installed: licences and sources were not checked"
	fi

run-example: ## Runs EXAMPLE=examples/wordcount.yaml on the data beside it.
	$(CARGO) run --locked --release -p watershed-cli -- run $(EXAMPLE)

ci: test doc deny ## What runs before a release.
