# Everything a user runs. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help install demo test simulate mutants faults supervision upgrade check lock schemas k8s-check k8s-try sbom tools bench bench-full clean

help: ## this list
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

install: $(STAMP) ## make .venv and install treeward with the locked dependencies

$(STAMP): requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(None if sys.version_info >= (3, 11) else "treeward needs Python 3.11 or newer; set PYTHON=...")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(STAMP) ## a data centre on this machine: create, destroy, kill -9, and the books afterwards
	$(BIN)/treeward demo

test: $(STAMP) ## all tests, one file per core at a time (WORKERS=0: one after the other)
	$(BIN)/pytest -n $(or $(WORKERS),auto) --dist loadfile

mutants: $(STAMP) ## proof by removal: each safety line is taken out, and something must notice
	$(BIN)/python -m tests.mutants --seeds $(or $(SEEDS),400) --write docs/mutants.md

faults: $(STAMP) ## a data centre under load, broken on purpose FAULTS=1000 times (SEED=1), and judged by its books
	$(BIN)/python -m tests.faults --faults $(or $(FAULTS),1000) --seed $(or $(SEED),1)

supervision: $(STAMP) ## RESOURCES=10000 of one pod crash at once, and their device is away for 20 s
	$(BIN)/python -m tests.supervision --resources $(or $(RESOURCES),10000)

upgrade: $(STAMP) ## from the previous version's wheel to this one's, back, and in the other order, under load (docs/upgrade.md; ARGS=--help)
	$(BIN)/python -m tests.upgrade $(ARGS)

simulate: $(STAMP) ## the simulation: SEEDS=10000 many seeds, SEED=4711 the story of one
	$(BIN)/python -m treeward.simulation $(if $(SEED),--seed $(SEED),--seeds $(or $(SEEDS),1000))

BENCH_CLIENTS := .venv-bench/.installed
bench: $(STAMP) $(BENCH_CLIENTS) ## speed and size, sizes scaled down, 8 minutes as last measured; writes bench/RESULTS.md (BENCH="path hot": only these)
	$(BIN)/python -m bench.run $(BENCH)

bench-full: $(STAMP) $(BENCH_CLIENTS) ## the same with all sizes, an hour or two (RESUME=1: without what this code has full results of)
	$(BIN)/python -m bench.run --full $(if $(RESUME),--resume) $(BENCH)

# Clients of what we are compared with, and the profiler: no dependencies of ours.
$(BENCH_CLIENTS):
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install --quiet --disable-pip-version-check aio-pika==10.2.1 procrastinate==3.10.0 'psycopg[binary,pool]==3.3.9' py-spy==0.4.3
	@touch $@

check: $(STAMP) ## lint, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

lock: ## renew requirements.lock and requirements-services.lock (needs uv)
	uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -o requirements.lock --upgrade
	uv pip compile pyproject.toml -c requirements.lock --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -o requirements-services.lock --upgrade

K8S_VALIDATOR := .venv-k8s/bin/kubernetes-validate
k8s-check: $(STAMP) $(K8S_VALIDATOR) ## the manifests in k8s/: rendered, validated for Kubernetes 1.28 to 1.37, and held to the policy (needs kubectl)
	$(BIN)/python -m tests.k8s.validate $(K8S_VALIDATOR)
	$(BIN)/pytest -rs tests/k8s
	$(BIN)/pytest -rs tests/tools/test_alert_rules.py tests/tools/test_monitoring.py

k8s-try: $(STAMP) ## the project on the cluster that kubectl reaches, broken on purpose and judged (ARGS=--help; docs/kubernetes-trials.md)
	$(BIN)/python -m tests.k8s.live $(ARGS)

# Its dependencies are not ours, so it has an environment of its own.
$(K8S_VALIDATOR):
	$(PYTHON) -m venv .venv-k8s
	.venv-k8s/bin/pip install --quiet --disable-pip-version-check kubernetes-validate==1.37.0

SBOM := .venv-sbom/bin/cyclonedx-py
sbom: $(SBOM) ## dist/treeward.cdx.json: what is in the image, from its lock (CycloneDX)
	mkdir -p dist
	$(SBOM) requirements requirements-services.lock --pyproject pyproject.toml --output-reproducible -o dist/treeward.cdx.json

$(SBOM):
	$(PYTHON) -m venv .venv-sbom
	.venv-sbom/bin/pip install --quiet --disable-pip-version-check cyclonedx-bom==7.5.0

NATSCLI := v0.5.1
tools: .tools/bin/nats .tools/bin/jaeger .tools/bin/promtool ## .tools/bin: the real nats command, Jaeger and promtool, for the tests that run them (tools/README.md)

.tools/bin/nats:
	@$(NEEDS_GO)
	GOBIN=$(CURDIR)/.tools/bin nice -n 10 go install -p 2 -trimpath github.com/nats-io/natscli/nats@$(NATSCLI)

.tools/bin/jaeger: tools/go.mod tools/go.sum
	@$(NEEDS_GO)
	nice -n 10 go build -C tools -p 2 -mod=readonly -trimpath -ldflags '-s -w' -o ../.tools/bin/jaeger github.com/jaegertracing/jaeger/cmd/jaeger

# One file of the package, which apt has checked; nothing is installed.
.tools/bin/promtool:
	@command -v apt-get >/dev/null || { echo "promtool is taken from Debian's package prometheus; here there is no apt-get. Put it on the PATH." >&2; exit 1; }
	mkdir -p .tools/debian .tools/bin
	cd .tools/debian && rm -f prometheus_*.deb && apt-get download -q prometheus && dpkg-deb --fsys-tarfile prometheus_*.deb | tar -xO ./usr/bin/promtool > promtool
	install -m 755 .tools/debian/promtool $@ && rm -r .tools/debian

NEEDS_GO = command -v go >/dev/null || { echo "make tools needs Go 1.26 or newer (https://go.dev/dl). Only the tests of docs/nats-cli.md and docs/tracing.md use what it builds; everything else works without." >&2; exit 1; }

schemas: $(STAMP) ## renew schemas/v1 and schemas/asyncapi.yaml from the models
	$(BIN)/python -m treeward.schemas.generate

clean: ## remove the virtual environment
	rm -rf $(VENV)
