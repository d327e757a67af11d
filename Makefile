# Everything a developer does here; `make help` explains each target.

GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
PREFIX  ?= /usr/local
DESTDIR ?=

GOLANGCI_LINT = github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

LDFLAGS   = -s -w -X github.com/queuemgr/queuemgr.version=$(VERSION) -X github.com/queuemgr/queuemgr/internal/runner.Version=$(VERSION)
GOBUILD   = CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -ldflags '$(LDFLAGS)'
TESTRUN   = $(GO) run ./scripts/testrun
# Where npm is not there the program is built without the page, and says so.
WEB       = $(if $(shell command -v npm),web)
BROWSER   = $(if $(shell command -v npm),check-web test-client) $(if $(and $(shell command -v npm),$(shell command -v chromium)),test-web,skip-web)
UNIT_PKGS = $$($(GO) list ./... | grep -v -e '/test/' -e '/test$$')

.DEFAULT_GOAL := build
.DELETE_ON_ERROR:

.PHONY: build
build: $(WEB) ## build bin/queuemgr and bin/queuemgr-runner (the default), with the page where npm is there
	$(GOBUILD) -o bin/ ./cmd/queuemgr ./cmd/queuemgr-runner

# The page is built anew when its source is newer than it.
.PHONY: web
web: web/dist/index.html.gz ## build the web page into web/dist; needs Node 20.19 or newer and npm

web/dist/index.html.gz: web/node_modules/.package-lock.json web/index.html web/vite.config.ts web/palette.ts web/tsconfig.json internal/httpapi/openapi.json $(shell find web/src web/public -type f)
	cd web && npm run --silent build
	@touch $@

web/node_modules/.package-lock.json: web/package.json web/package-lock.json
	cd web && npm ci --ignore-scripts
	@touch $@

.PHONY: check-web
check-web: web/node_modules/.package-lock.json ## types, stale generated types and unit tests of the page; lints the OpenAPI document
	cd web && npm run --silent check && npm run --silent unit

.PHONY: test-client
test-client: build web/node_modules/.package-lock.json ## a TypeScript client made of the OpenAPI document, against the built program
	cd web && npm run --silent client

.PHONY: test-web
test-web: build check-web ## the page in a real browser (chromium), against the built program
	cd web && npm run --silent browser

.PHONY: test-web-scale
test-web-scale: build web/node_modules/.package-lock.json ## the page with 1,000,000 jobs, 5,000 changes a second, a log of 200 MB; some minutes
	cd web && npm run --silent scale

.PHONY: help
help: ## explain each target
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test
test: check-format vet check-generated unit e2e $(BROWSER) ## all checks and tests but lint; needs Go, make, gcc, git and python3; for the page's also Node, npm and chromium
	@echo "make test: all checks and tests passed"

# Stands for test-web where what it needs is not there.
.PHONY: skip-web
skip-web:
	@echo "SKIPPED: test-web, the page's tests: npm and chromium are not both here; without npm also check-web (the OpenAPI document's linter) and test-client"
	@test "$$CI" != true || { echo 'under CI=true nothing may be skipped' >&2; exit 1; }

.PHONY: check-format
check-format: ## fail when a Go file is not gofmt-clean
	@files=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard -- '*.go')); \
	if [ -n "$$files" ]; then \
		printf 'not formatted (mend: gofmt -w):\n%s\n' "$$files" >&2; exit 1; \
	fi

.PHONY: vet
vet: ## go vet, of the crash point build too
	$(GO) vet ./...
	$(GO) vet -tags crashpoint ./internal/crashpoint/...
	$(GO) vet -tags systemd ./test/systemd/...

.PHONY: check-generated
check-generated: ## fail when a generated file is stale
	@scripts/check-generated

.PHONY: unit
unit: ## package tests, with the race detector
	$(TESTRUN) -race -timeout 10m $(UNIT_PKGS)

.PHONY: e2e
e2e: ## end-to-end tests of the built binaries, short forms
	$(TESTRUN) -count=1 -timeout 6m ./test/...

.PHONY: chaos
chaos: ## the end-to-end tests at full length: 20 rounds of SIGKILLs, real times; about 15 minutes
	QUEUEMGR_CHAOS=1 $(TESTRUN) -count=1 -timeout 60m ./test/...

.PHONY: test-systemd
test-systemd: ## what only a booted systemd can prove, in guests; needs root and what test/systemd/README.md names
	$(TESTRUN) -race -tags systemd -count=1 -timeout 30m ./test/systemd/...

.PHONY: lint
lint: ## golangci-lint with the import law; its first run builds the linter, which takes minutes
	$(GO) run $(GOLANGCI_LINT) run ./...

.PHONY: demo
demo: build ## the main job on real input, told as a story; at most 3 minutes. In a terminal its page lives on (ALIVE=1: anywhere)
	@alive=; if [ -n '$(ALIVE)' ] || { [ -t 1 ] && [ "$$CI" != true ]; }; then alive=-alive; fi; \
	$(GO) run ./demo -bin bin $$alive

.PHONY: demo-stop
demo-stop: ## end the daemon that make demo left alive
	@$(GO) run ./demo -bin bin -stop

.PHONY: bench
bench: build ## all budgets against a C posix_spawn loop, five rounds; about 10 minutes
	$(GO) run ./bench -bin bin

.PHONY: bench-quick
bench-quick: build ## the same in one short round: an orientation, no verdict
	$(GO) run ./bench -bin bin -quick

.PHONY: install
install: build ## put both binaries into $(DESTDIR)$(PREFIX)/bin (PREFIX=/usr/local)
	install -d '$(DESTDIR)$(PREFIX)/bin'
	install -m 0755 bin/queuemgr bin/queuemgr-runner '$(DESTDIR)$(PREFIX)/bin/'

.PHONY: man
man: build ## write the manual pages into dist/man
	bin/queuemgr man dist/man

.PHONY: package
package: ## make the .deb and .rpm for this machine's architecture in dist/
	VERSION='$(VERSION)' LDFLAGS='$(LDFLAGS)' GO='$(GO)' scripts/release packages

.PHONY: release
release: ## make archives, packages, checksums and SBOM for all architectures in dist/
	VERSION='$(VERSION)' LDFLAGS='$(LDFLAGS)' GO='$(GO)' scripts/release

.PHONY: check-release
check-release: ## make the release twice, apart, and fail when a byte differs
	VERSION='$(VERSION)' LDFLAGS='$(LDFLAGS)' GO='$(GO)' scripts/check-release

.PHONY: clean
clean: ## remove what make built
	rm -rf bin dist web/node_modules web/shots
	find web/dist -mindepth 1 ! -name .keep -delete
