# Two commands on a fresh machine with the Swift 6.3 toolchain: `make demo` and `make test`.
# Programs that make network namespaces run by sudo, unless you are root already.

P2PVPN_BIN ?= $(CURDIR)/.build/release/p2pvpn
BENCH ?=
CONNECT ?=
EVERYBODY ?=
GRID ?=

ROOT   := $(if $(filter 0,$(shell id -u)),,$(shell command -v sudo))
# Asked when it is needed: `deps` may just have installed the modules.
PYTHON  = $$(python3 -c 'import sys, pytest, jsonschema; print(sys.executable)' 2>/dev/null || echo /usr/bin/python3)
LAB     = $(ROOT) env PYTHONDONTWRITEBYTECODE=1 PYTEST_DISABLE_PLUGIN_AUTOLOAD=1 P2PVPN_BIN=$(P2PVPN_BIN) \
          $(if $(NO_COLOR),NO_COLOR=1) $(PYTHON)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test bench bench-connect bench-everybody grid soak simulate build deps peers lint clean

demo: deps build        ## a seed and four members on this machine: see what p2pvpn does
	@$(LAB) Tests/Network/demo.py

test: deps lint         ## all tests, those with real networks last
	swift test
	@$(MAKE) --no-print-directory simulate build
	$(LAB) -m pytest Tests/Network

bench: deps build       ## throughput, round trips and cost beside other VPNs; options in BENCH="--rounds 3 --vpn ours"
	@$(LAB) Tests/Network/bench.py $(BENCH)

bench-connect: deps build ## connection time, idle cost, throughput of a relay; options in CONNECT="--tests relay"
	@$(LAB) Tests/Network/bench_connect.py $(CONNECT)

bench-everybody: deps build ## broadcasts for each second of processor time, beside n2n and tinc; options in EVERYBODY=
	@$(LAB) Tests/Network/bench_everybody.py $(EVERYBODY)

grid: deps build        ## every kind of NAT against every other; options in GRID="--runs 5 --json FILE"
	@$(LAB) Tests/Network/grid.py $(GRID)

simulate: swift         ## networks of up to 256 nodes on a virtual clock: each scenario once, and what once failed
	swift build -c release --product p2psim
	@Tools/simulate .build/release/p2psim

soak: deps build        ## the long versions of the network tests
	$(LAB) -m pytest -m soak Tests/Network

build: swift            ## the release program, .build/release/p2pvpn
	swift build -c release --static-swift-stdlib --product p2pvpn

deps:                   ## install the Debian packages that are missing
	@Tools/install-deps

peers:                  ## install the Debian packages of other VPNs, to be measured beside p2pvpn
	@Tools/install-peers

lint: swift             ## check the format of all Swift files
	swift format lint --strict --recursive Package.swift Sources Tests Simulations

clean:                  ## remove everything that was built
	rm -rf .build
	find Tests -name __pycache__ -prune -exec rm -rf {} +

help:                   ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: swift
swift:
	@command -v swift >/dev/null || { echo "p2pvpn is built with Swift 6.3: https://www.swift.org/install" >&2; exit 1; }
