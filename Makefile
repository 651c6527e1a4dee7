# Rind. `make` prints the targets; README.md explains the two that matter.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO        ?= go
BIN       := bin
FUZZTIME  ?= 5s
TESTFLAGS ?=
export CGO_ENABLED ?= 0
export GOFLAGS ?= -buildvcs=false

# The binaries carry their revision where this folder is a git checkout that
# git can read; it cannot as another user than the folder's owner ("dubious
# ownership"), and the go command knows no linked worktree.
STAMP := $(shell [ -d .git ] && git status --porcelain >/dev/null 2>&1 && echo true || echo false)

VENDORED := internal/web/static/vendor
LINTER   := $(BIN)/tools/golangci-lint

.PHONY: help
help: ## print the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-zA-Z_-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: need-go
need-go:
	@command -v $(GO) >/dev/null || { echo "Go 1.26 or later is missing: install it from your distribution or from https://go.dev/dl/" >&2; exit 1; }

.PHONY: run
run: build ## build all and start everything on this machine (Ctrl-C ends it)
	@exec $(BIN)/rind up $(ARGS)

.PHONY: build
build: need-go static ## build the binaries into bin/
	@mkdir -p $(BIN)
	$(GO) build -trimpath -buildvcs=$(STAMP) -ldflags '-s -w' -o $(BIN)/ ./cmd/...

.PHONY: static
static: $(VENDORED)/.done ## fetch the pages' scripts with npm (optional)

$(VENDORED)/.done: package-lock.json
	@if command -v npm >/dev/null; then \
		npm ci --ignore-scripts --no-audit --no-fund --loglevel=error && node internal/web/static/collect.mjs && touch $@; \
	else \
		echo "npm is missing: the pages will work without charts and live updates (Debian: apt-get install npm)" >&2; \
	fi

.PHONY: test
test: need-go static ## run every test (PostgreSQL, chromium, tshark and namespaces where they are there)
	$(GO) vet ./...
	$(GO) test -timeout 14m $(TESTFLAGS) ./...

.PHONY: test-race
test-race: need-go static ## the tests under the race detector (needs a C compiler)
	CGO_ENABLED=1 $(GO) test -race -short -timeout 30m $(TESTFLAGS) ./internal/...

$(LINTER): tools/go.mod tools/go.sum
	@mkdir -p $(@D)
	cd tools && $(GO) build -o ../$@ github.com/golangci/golangci-lint/v2/cmd/golangci-lint

.PHONY: lint
lint: need-go $(LINTER) static ## gofmt, go vet, golangci-lint
	@out=$$(gofmt -l cmd internal bench 2>/dev/null); [ -z "$$out" ] || { echo "not gofmt-ed: $$out" >&2; exit 1; }
	$(LINTER) run ./...

.PHONY: fmt
fmt: need-go ## format the code
	gofmt -w cmd internal bench

.PHONY: bench
bench: need-go build ## measure sizes, memory, first answers and the hot paths
	$(GO) run ./bench/first -bin $(BIN)
	$(GO) test -run '^$$' -bench . -benchtime 1s ./internal/network/...

.PHONY: bench-target
bench-target: need-go ## measure targets over 100,000 peels
	$(GO) run ./bench/target

.PHONY: bench-node
bench-node: need-go build ## measure the node: ingest, panels at 10 million flows, fairness, overload, memory (ONLY=ingest,sqlite,decode,panel,drilldown,taps,tokens,overload,rss FLOWS=n FOR=10m DATA=folder)
	$(GO) build -o $(BIN)/tools/bench-node ./bench/node
	$(BIN)/tools/bench-node -bin $(BIN)/rind $(if $(ONLY),-only $(ONLY)) $(if $(FLOWS),-flows $(FLOWS)) $(if $(FOR),-for $(FOR)) $(if $(DATA),-data $(DATA))

.PHONY: bench-fleet
bench-fleet: need-go build ## measure the fleet plane with N simulated peels (10000); ONLY=ping,returns measures these
	$(GO) build -o $(BIN)/tools/bench-fleet ./bench/fleet
	$(BIN)/tools/bench-fleet -bin $(BIN)/rind -n $(or $(N),10000) $(if $(ONLY),-only $(ONLY))

.PHONY: bench-tap
bench-tap: need-go build ## measure the tap beside tcpdump, argus, softflowd and suricata; ONLY=read,scaling measures these
	$(GO) build -o $(BIN)/tools/bench-tap ./bench/tap
	$(BIN)/tools/bench-tap -bin $(BIN) $(if $(ONLY),-only $(ONLY))

.PHONY: profile-tap
profile-tap: need-go ## make the profile anew by which rind-tap is compiled
	$(GO) build -o $(BIN)/tools/bench-tap ./bench/tap
	$(BIN)/tools/bench-tap -rounds 5 -pgo cmd/rind-tap/default.pgo

# The fuzzer of the go command now and then calls its own end of time a
# failure ("context deadline exceeded", without an input that fails).
.PHONY: fuzz
fuzz: need-go ## run every fuzz target for FUZZTIME (5s)
	@out=$$(mktemp); trap 'rm -f "$$out"' EXIT; \
	for p in $$($(GO) list ./internal/...); do \
		for f in $$($(GO) test -list '^Fuzz' $$p | grep '^Fuzz' || true); do \
			echo "== $$p $$f"; \
			$(GO) test -run '^$$' -fuzz "^$$f$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 10x $$p >"$$out" 2>&1 && continue; \
			grep -q 'context deadline exceeded' "$$out" && ! grep -q -E 'Failing input|panic:' "$$out" && continue; \
			cat "$$out"; exit 1; \
		done; \
	done

.PHONY: captures
captures: ## record real programs talking, for the parsers' tests (root; PARTS="http mail" records these)
	@bench/captures/run.sh $(PARTS)

.PHONY: test-cluster
test-cluster: need-go ## three nodes behind HAProxy under fire, and a failover, with outages of a minute (root, PostgreSQL, haproxy, nftables)
	RIND_NIGHTLY=1 $(GO) test -count 1 -timeout 30m -v -run '^(TestCluster|TestFailover)$$' ./internal/network/node

.PHONY: nightly
nightly: ## what takes long: the race detector, a minute a fuzz target, ten of mutated captures, a million hostile conversations a parser, large files, clusters under fire, all benches
	$(MAKE) test-race
	RIND_NIGHTLY=1 $(GO) test -count 1 -timeout 20m -run 'Copy' ./internal/fleet/master ./internal/app/server
	RIND_NIGHTLY=1 $(GO) test -count 1 -timeout 20m -v -run 'Cluster' ./internal/e2e
	RIND_NIGHTLY=1 $(GO) test -count 1 -timeout 20m -v -run 'TestOutage' ./internal/app/tap
	RIND_NIGHTLY=1 $(GO) test -count 1 -timeout 20m -v -run '^TestSoak$$' ./internal/network/pipeline/soak
	RIND_NIGHTLY=1 $(GO) test -count 1 -timeout 30m -run '^TestParsersAreBounded$$' ./internal/network/pipeline
	$(MAKE) test-cluster
	$(MAKE) fuzz FUZZTIME=1m
	$(MAKE) bench
	$(MAKE) bench-target
	$(MAKE) bench-tap
	$(MAKE) bench-fleet
	$(MAKE) bench-node

.PHONY: clean
clean: ## remove what was built and fetched
	rm -rf $(BIN) node_modules $(VENDORED)
