# Needs Node with npm and Go; everything else is fetched by npm and Go, pinned by package-lock.json and
# tools/go.sum. No target touches what is up to date.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := help

NODE_MIN := 20
GO_MIN := 1.26
POSTGRES_MIN := 15
PYTHON_MIN := 3.11

ARGS ?=
DATA ?= ./data
TEST ?=
# SHELL is bash, whose own SECONDS is not meant: only one given to make counts.
SECONDS_GIVEN := $(if $(filter command% environment%,$(origin SECONDS)),$(SECONDS),600)

# The first is the main program; a worker has to be listed as an entry of its own.
ENTRIES := src/main.ts $(shell find src -name '*-worker.ts' 2>/dev/null | sort)
# Folders too: their times tell that a file is gone.
SOURCES := $(shell find src 2>/dev/null)

BIN := node_modules/.bin
INSTALLED := node_modules/.installed
CLIENT := clients/typescript
CLIENT_SOURCES := $(shell find $(CLIENT)/src 2>/dev/null)
TOOLS := $(addprefix build/tools/,coffer-nats nats-server k6)
SCHEMATHESIS := build/schemathesis/.installed
# Generators of clients, of which tests make some from the OpenAPI document.
GENERATORS := $(addprefix build/generated-clients/,typescript/.installed python/.installed)
# Tests of test/fuzz that share the time of make fuzz.
FUZZERS := 8

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' Makefile

.PHONY: build
build: build/coffer ## compile the executable build/coffer

.PHONY: client
client: $(CLIENT)/dist/index.js ## compile the TypeScript client, clients/typescript/dist

.PHONY: run
run: build/coffer ## start a node; ARGS="--port 9000 …" are the flags of coffer serve
	@exec build/coffer serve $(ARGS)

.PHONY: test
test: $(if $(TEST),test-some,test-all) ## set up, check and run all tests; TEST=name: only test files whose path has this name, and what they need

.PHONY: test-all
test-all:
	@$(MAKE) --no-print-directory -j2 setup
	@$(MAKE) --no-print-directory check
	@$(BIN)/bun test/run.ts

.PHONY: test-some
test-some: $(INSTALLED)
	@parts=$$($(BIN)/bun test/parts.ts $(TEST)); [ -z "$$parts" ] || $(MAKE) --no-print-directory $$parts
	@$(BIN)/bun test/run.ts $(TEST)

.PHONY: check
check: $(INSTALLED) ## check types, lint, format, which room imports which, and the OpenAPI document
	@$(BIN)/tsc
	@$(BIN)/tsc -p $(CLIENT) --noEmit
	@$(BIN)/biome check --error-on-warnings
	@$(BIN)/bun test test/architecture.test.ts
	@mkdir -p build
	@$(BIN)/bun tools/harness/openapi.ts > build/openapi.json
	@REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true \
	  $(BIN)/bun --bun $(BIN)/redocly lint --extends recommended-strict build/openapi.json

.PHONY: format
format: $(INSTALLED) ## format the code, and repair what lint can repair
	@$(BIN)/biome check --write

.PHONY: replay
replay: build/coffer ## replay the log in DATA (./data) and print its totals and digest
	@build/coffer replay --data "$(DATA)"

.PHONY: load
load: build/coffer build/tools/k6 ## 60 s of load by k6, and a check that no money was made or lost
	@$(BIN)/bun k6/run.ts --seconds 60

.PHONY: bench
bench: build/coffer ## measure rates, latencies, starts and growth beside references; writes bench/results.md
	@$(need_wrk)
	@$(BIN)/bun bench/run.ts

.PHONY: overload
overload: build/coffer ## more load than a node carries, for 30 s, singly and in batches; needs wrk
	@$(need_wrk)
	@$(BIN)/bun bench/overload.ts

.PHONY: bench-postgres
bench-postgres: build/coffer postgres ## measure the PostgreSQL writer beside statements that are sent one by one
	@$(BIN)/bun bench/postgres.ts
	@$(BIN)/bun bench/postgres-wallet.ts

.PHONY: soak
soak: setup ## simulate new histories for SECONDS (600), then crash real nodes 200 times and cut a log at every byte
	@$(BIN)/bun test/simulation/run.ts --seconds $(SECONDS_GIVEN)
	@COFFER_CRASH_ROUNDS=200 COFFER_CUT_EVERY_BYTE=1 $(BIN)/bun test --timeout 60000 test/crash

.PHONY: fuzz
fuzz: setup ## send hostile requests, messages and log bytes for SECONDS (600), by a new seed or COFFER_SEED
	@COFFER_FUZZ_SECONDS=$$(( ($(SECONDS_GIVEN) + $(FUZZERS) - 1) / $(FUZZERS) )) $(BIN)/bun test --timeout 60000 test/fuzz

.PHONY: setup
setup: build/coffer $(TOOLS) postgres proxies $(SCHEMATHESIS) $(GENERATORS) ## fetch and build all parts

.PHONY: postgres
postgres:
	@$(need_postgres)

# In the setup of everything some parts wait for others, which they do not need.
after = $(if $(TEST),,$(1))

# After PostgreSQL: two apt-get would be in each other's way.
.PHONY: proxies
proxies: $(call after,postgres)
	@$(need_proxies)

.PHONY: clean
clean: ## remove all that was fetched and built here
	rm -rf build node_modules $(CLIENT)/dist

# --no-save: with another registry or on another platform, npm would rewrite the lock file.
$(INSTALLED): package.json package-lock.json .npmrc
	@$(need_node)
	@echo "npm install"
	@npm install --no-save --loglevel=error
	@$(BIN)/bun --version >/dev/null || $(call fail,npm did not set up bun: are install scripts forbidden in its configuration?)
	@touch $@

build/coffer: $(SOURCES) tsconfig.json $(INSTALLED) build/tools/coffer-nats
	@echo "build $@"
	@$(BIN)/bun build --compile --bytecode --format=esm --outfile $@ --sourcemap --define '__dirname="/"' \
	  --no-compile-autoload-dotenv --no-compile-autoload-bunfig $(ENTRIES)

$(CLIENT)/dist/index.js: $(CLIENT_SOURCES) $(CLIENT)/tsconfig.json $(INSTALLED)
	@echo "build $(CLIENT)/dist"
	@rm -rf $(CLIENT)/dist
	@$(BIN)/tsc -p $(CLIENT)

# One after the other: they share packages, and Go uses all cores anyway.
build/tools/coffer-nats: tools/go.mod tools/go.sum tools/nats/main.go
	@$(need_go)
	@echo "build $@"
	@$(go_build) ./nats

build/tools/nats-server: tools/go.mod tools/go.sum | $(call after,build/tools/coffer-nats)
	@echo "build $@"
	@$(go_build) github.com/nats-io/nats-server/v2

build/tools/k6: tools/go.mod tools/go.sum | $(call after,build/tools/nats-server)
	@echo "build $@"
	@$(go_build) go.k6.io/k6

# After the proxies, for the same reason.
$(SCHEMATHESIS): test/fuzz/requirements.txt | $(call after,proxies)
	@$(need_python)
	@echo "pip install schemathesis"
	@$(pip_install)

build/generated-clients/python/.installed: test/generated-clients/requirements.txt | $(call after,$(SCHEMATHESIS))
	@$(need_python)
	@echo "pip install openapi-python-client"
	@$(pip_install)

build/generated-clients/typescript/.installed: $(addprefix test/generated-clients/typescript/package,.json -lock.json) .npmrc
	@$(need_node)
	@echo "npm install openapi-typescript"
	@rm -rf $(@D)
	@mkdir -p $(@D)
	@cp $^ $(@D)
	@cd $(@D) && npm install --no-save --loglevel=error
	@touch $@

pip_install = rm -rf $(@D) && python3 -m venv $(@D) && \
  $(@D)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $< && touch $@

go_build = cd tools && CGO_ENABLED=0 GOTOOLCHAIN=local GOFLAGS=-mod=readonly \
  go build -trimpath -buildvcs=false -ldflags "-s -w" -o ../$@

fail = { echo "coffer: $(1)" >&2; exit 1; }

need_node = command -v npm >/dev/null && \
  node -e 'process.exit(parseInt(process.versions.node) < $(NODE_MIN) ? 1 : 0)' 2>/dev/null || \
  $(call fail,Node $(NODE_MIN) or newer with npm is needed (https://nodejs.org); \
  found $$(node --version 2>/dev/null || echo no node) and $$(npm --version 2>/dev/null || echo no) npm)

need_go = found=$$(go version 2>/dev/null | sed 's/^go version go\([^ ]*\).*/\1/' || true); \
  printf '%s\n' $(GO_MIN) "$$found" | sort -VC || \
  $(call fail,Go $(GO_MIN) or newer is needed (https://go.dev/dl); found $${found:-none})

apt_install = { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null && echo "apt-get install $(1)" && \
  { apt-get install -qq -y $(1) || { apt-get update -qq && apt-get install -qq -y $(1); }; } >/dev/null 2>&1; }

need_wrk = command -v wrk >/dev/null || $(call apt_install,wrk) || \
  $(call fail,wrk is missing: install it (Debian: apt install wrk))

# Only its programs are used, by clusters of the tests' own. Debian has them outside of PATH.
has_postgres = newest=$$(for path in $${PATH//:/ } /usr/lib/postgresql/*/bin; do \
    "$$path/initdb" --version 2>/dev/null || true; done | sed 's/^[^0-9]*\([0-9]*\).*/\1/' | sort -n | tail -n 1); \
  [ "$${newest:-0}" -ge $(POSTGRES_MIN) ]

need_postgres = { $(has_postgres); } || { DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; \
  $(call apt_install,postgresql) && { $(has_postgres); }; } || \
  $(call fail,PostgreSQL $(POSTGRES_MIN) or newer is missing: install it (Debian: apt install postgresql))

# Only their programs are used. Debian has them outside of the PATH of users, and would start them as services.
has_proxies = PATH=$$PATH:/usr/local/sbin:/usr/sbin:/sbin; \
  command -v nginx >/dev/null && command -v haproxy >/dev/null

without_services = { policy=/usr/sbin/policy-rc.d; [ "$$(id -u)" != 0 ] || [ -e $$policy ] || \
  { trap "rm -f $$policy" EXIT; printf '\#!/bin/sh\nexit 101\n' > $$policy; chmod 755 $$policy; }; }

need_proxies = { $(has_proxies); } || { DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; \
  $(without_services) && $(call apt_install,nginx haproxy) && { $(has_proxies); }; } || \
  $(call fail,nginx or HAProxy is missing: install them (Debian: apt install nginx haproxy))

has_python = python3 -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < tuple(map(int, "$(PYTHON_MIN)".split("."))))' \
  2>/dev/null

need_python = $(has_python) || { DEBIAN_FRONTEND=noninteractive; export DEBIAN_FRONTEND; \
  $(call apt_install,python3-venv) && $(has_python); } || \
  $(call fail,Python $(PYTHON_MIN) or newer with venv is missing: install it (Debian: apt install python3-venv))
