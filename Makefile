# The tools are pinned in internal/tools/*/go.mod and run through `go tool`; nothing is installed by hand.
SHELL   := bash
.SHELLFLAGS := -eu -o pipefail -c
MODULE  := github.com/blox/blox
VERSION ?= $(shell git describe --tags --always --dirty --abbrev=12 2>/dev/null || echo dev)
COMMIT  ?= $(shell git rev-parse HEAD 2>/dev/null)
SOURCE_DATE_EPOCH ?= $(shell git log -1 --format=%ct 2>/dev/null)
TOOLCHAIN ?= $(shell sed -n 's/^toolchain //p' go.mod)
PLATFORMS ?=
KEY     ?=
IMAGES  := cluster-state-service daemon-scheduler blox ecs-sim
PREFIX  ?= /usr/local
DESTDIR ?=
BIN     ?= bin
SHARE    = $(DESTDIR)$(PREFIX)/share
BASH_COMPLETION = $(SHARE)/bash-completion/completions/blox
ZSH_COMPLETION  = $(SHARE)/zsh/site-functions/_blox
FISH_COMPLETION = $(SHARE)/fish/vendor_completions.d/blox.fish
LDFLAGS := -s -w -X $(MODULE)/internal/version.Version=$(VERSION)
RUN     ?=
ARGS    ?=
FUZZTIME ?= 2m
LOAD    ?= 10m
SEED    ?=
DURATION ?= 5m
VULNDB  ?=
STRESS  ?=
LINTER  := go tool -modfile=internal/tools/lint/go.mod
SWAGGER := go tool -modfile=internal/tools/swagger/go.mod swagger
# Packages of generated code, and packages with few tests other than those that start processes or etcd clusters.
NOT_UNIT := /(cmd|deploy|swagger)(/|$$)|/(cluster-state-service|daemon-scheduler)(/store)?$$|/e2e$$|/etcd/embedded$$|/internal/(bench|harness|local|robustness|testenv)(/|$$)
APIS    := cluster-state-service daemon-scheduler
# Packages whose tests generate the tables of the pages below docs/reference.
REFERENCE = $(sort $(dir $(shell git grep -l "^func TestReference_" -- ":*_test.go" | sed "s,^,./,")))

help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  \1\t/' | expand -t 14

build: ## build every command into bin/
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o bin/ ./cmd/...

install: $(BIN)/blox ## install blox, its man pages and completions below PREFIX (/usr/local); DESTDIR= stages them
	mkdir -p $(DESTDIR)$(PREFIX)/bin $(dir $(BASH_COMPLETION) $(ZSH_COMPLETION) $(FISH_COMPLETION))
	install -m 755 $(BIN)/blox $(DESTDIR)$(PREFIX)/bin/blox
	rm -f $(SHARE)/man/man1/blox.1 $(SHARE)/man/man1/blox-*.1
	$(BIN)/blox man $(SHARE)/man/man1
	$(BIN)/blox completion bash > $(BASH_COMPLETION)
	$(BIN)/blox completion zsh > $(ZSH_COMPLETION)
	$(BIN)/blox completion fish > $(FISH_COMPLETION)
	chmod 644 $(BASH_COMPLETION) $(ZSH_COMPLETION) $(FISH_COMPLETION)

uninstall: ## remove what make install installed, with the same PREFIX
	rm -f $(DESTDIR)$(PREFIX)/bin/blox $(SHARE)/man/man1/blox.1 $(SHARE)/man/man1/blox-*.1
	rm -f $(BASH_COMPLETION) $(ZSH_COMPLETION) $(FISH_COMPLETION)

# make build builds it, too; root often has no Go
$(BIN)/blox:
	CGO_ENABLED=0 go build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN)/ ./cmd/blox

generate: ## generate API clients, models and OpenAPI 3 documents from the swagger files, and the tables of docs/reference
	@for api in $(APIS); do \
	  rm -rf swagger/$$api/v1/client swagger/$$api/v1/models; \
	  $(SWAGGER) generate client --quiet --skip-tag-packages --name=$$api --spec=swagger/$$api/v1/swagger.json --target=swagger/$$api/v1; \
	done
	@go test ./swagger -run TestOpenAPI_MatchesTheSwaggerFiles -update >/dev/null
	@UPDATE_REFERENCE=1 go test -p 1 -run TestReference_ $(REFERENCE) >/dev/null

unit: ## run tests without processes and etcd clusters in under 30 s; only make test has the race detector
	go test -short $$(go list ./... | grep -vE '$(NOT_UNIT)') ./cmd/blox/connect ./cmd/blox/show

test: ## run every test with the race detector; STRESS=1 keeps all cores busy
	$(if $(STRESS),go build -o bin/ ./internal/testenv/stress)
	$(if $(STRESS),bin/stress) go test -race -timeout $(if $(STRESS),40m,25m) ./...

layers: ## verify and list the imports between packages
	go test -v -run TestLayers ./internal/layers

names: ## fail if a declaration uses a name that the project replaced
	go test -count=1 ./internal/names

# Go may report only "context deadline exceeded" when the fuzz time ends; this is not a failure.
prose: ## check documents, API descriptions, help, logs and errors with Vale; internal/tools/prose/styles has the rules
	@go run ./internal/prose

fuzz: ## run each fuzz target for FUZZTIME (2m); RUN=<regexp> selects some; testdata/fuzz keeps failing inputs
	@failed=""; while IFS=: read -r file _ target; do \
	  target="$${target#func }"; package="$$(dirname "$$file")"; \
	  [[ "$$package/$$target" =~ $(or $(RUN),.) ]] || continue; \
	  echo "== $$package $$target"; \
	  report="$$(go test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -parallel 2 -fuzzminimizetime 200x "$$package" 2>&1 < /dev/null)" || \
	    case "$$report" in *"Failing input"*) failed="$$failed $$target";; *"context deadline exceeded"*) ;; *) failed="$$failed $$target";; esac; \
	  echo "$$report" | tail -n 30 | grep -v 'now fuzzing\|gathering baseline' | tail -n 20; \
	done < <(grep -rn --include='*_test.go' -oE '^func Fuzz[A-Za-z0-9_]*' . | sort); \
	[ -z "$$failed" ] || { echo "failed:$$failed"; exit 1; }

bench: build ## run the benchmarks in about eight minutes; RUN=<regexp> selects sections
	bin/blox-bench --run '$(RUN)'

alerts: ## make each alert fire on the simulator in about ten minutes, with Debian's Prometheus
	go test -count=1 -timeout 40m ./deploy/monitoring -run TestAlerts -v -fire

testclock: ## build the services with clocks that tests can change into bin/testclock/
	go run ./internal/harness/testclock/build -o bin/testclock cmd/cluster-state-service cmd/daemon-scheduler

robustness: build testclock $(if $(PREVIOUS),previous) ## inject faults into every process of Blox and check its promises; SEED=, DURATION=5m, REGIONS=1, PREVIOUS=<revision>
	bin/blox-robustness --duration $(DURATION) $(if $(SEED),--seed $(SEED)) $(if $(REGIONS),--regions $(REGIONS)) \
	  $(if $(PREVIOUS),--previous bin/previous)

previous: ## build the services of the revision PREVIOUS, with clocks that tests can change, into bin/previous/
	rm -rf bin/previous tmp/previous && mkdir -p tmp/previous
	git archive $(PREVIOUS) | tar -x -C tmp/previous
	go build -o bin/testclock/build ./internal/harness/testclock/build
	cd tmp/previous && ../../bin/testclock/build -o ../../bin/previous cmd/cluster-state-service cmd/daemon-scheduler
	rm -rf tmp/previous

mutations: ## put known bugs into the code, and require that a test finds each; RUN=<regexp> selects some
	go run ./internal/mutation --run '$(or $(RUN),.)'

conformance: ## run both services on ECS's API limits for DURATION (5m), count and validate every call; SEED=
	go test -count=1 -timeout 3h ./daemon-scheduler/e2e -run TestConformance_LongRun -v -conformance $(DURATION) \
	  $(if $(SEED),-conformance-seed $(SEED)) | grep -v 'level='

load: build ## test under load and attack for LOAD (10m): memory, streams, slow and bad clients; RUN=<regexp> selects sections
	bin/blox-bench --load $(LOAD) --run '$(RUN)'

lint: prose ## run golangci-lint and the prose check; report known vulnerabilities, which fail only make vuln
	@long="$$(git ls-files '*.js' '*.css' '*.sh' | xargs wc -l | awk '$$1 > 350 && $$2 != "total"')"; \
	  [ -z "$$long" ] || { echo "files of more than 350 lines:"; echo "$$long"; exit 1; }
	$(LINTER) golangci-lint fmt --diff
	$(LINTER) golangci-lint run
	@VULNDB='$(VULNDB)' .ci/vuln || case $$? in \
	  2) echo "govulncheck skipped";; \
	  *) echo "warning: known vulnerabilities; make vuln fails until they are fixed";; \
	esac

vuln: ## fail on known vulnerabilities in reachable code; VULNDB=file:///path uses a copy of the database
	VULNDB='$(VULNDB)' .ci/vuln

local: ## run all of Blox on this machine with a simulated ECS, without an AWS account; ARGS= sets its flags
	@go build -o bin/ ./cmd/blox-local ./cmd/blox
	@bin/blox-local $(ARGS)

docker: ## build the images and tag them bloxoss/<name>:$(VERSION) and :local
	@for image in $(IMAGES); do \
	  docker build --file deploy/docker/Dockerfile --target $$image --build-arg VERSION=$(VERSION) --build-arg COMMIT=$(COMMIT) \
	    --tag bloxoss/$$image:$(VERSION) --tag bloxoss/$$image:local . ; \
	done

release: ## build archives, SBOMs, provenance and checksums into dist/ from a clean checkout; PLATFORMS=linux/amd64,…
	@changes="$$(git status --porcelain)"; [ -z "$$changes" ] || { echo "commit these changes first:"; echo "$$changes"; exit 1; }
	GOTOOLCHAIN=$(TOOLCHAIN) go run ./internal/release -version '$(VERSION)' -revision '$(COMMIT)' -time '$(SOURCE_DATE_EPOCH)' \
	  -platforms '$(PLATFORMS)' -o dist

sign: ## sign dist/SHA256SUMS with the SSH key KEY
	ssh-keygen -Y sign -n blox-release -f '$(KEY)' dist/SHA256SUMS

reproduce: ## build the release twice, in two folders with empty caches, and compare every file; PLATFORMS=linux/amd64,…
	GOTOOLCHAIN=$(TOOLCHAIN) go test -count=1 -timeout 3h ./internal/release -run TestRelease_IsReproducible -v \
	  -reproduce -reproduce-platforms '$(PLATFORMS)'

deploy-test: ## test images, Docker Compose, backup and templates; needs docker and docker-compose
	deploy/test/run

clean: ## remove the output of the targets above
	rm -rf bin dist tmp

.DEFAULT_GOAL := help
.PHONY: help build install uninstall generate unit test alerts layers names fuzz bench testclock robustness previous mutations conformance load lint vuln local docker release sign reproduce deploy-test clean
