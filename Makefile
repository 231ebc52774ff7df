# make demo   sets up, builds and runs the whole flow on Fashion-MNIST: search, train, freeze, map, bundle, run, report
# make test   sets up, builds, runs all tests
JOBS ?= $(shell nproc)
PROGRAM := build/release/bin/instantnet
PIPELINE ?= configs/pipeline.yaml
DEMO ?= configs/demo.yaml

.PHONY: help setup build demo demo-train demo-wide test test-light test-asan bench reference packages format clean

help:
	@sed -n '1,2s/^# //p' Makefile
	@echo "also: build, demo-train (training alone, beside one network for each bit-width), demo-wide (six bit-widths),"
	@echo "      test-light (no torch), test-asan, bench, reference (docs/reference), packages (.deb),"
	@echo "      format, clean"

setup:
	@tools/setup.sh

build: setup
	@echo "build: configuring and compiling into build/release"
	@cmake --preset release >build-configure.tmp || { cat build-configure.tmp; exit 1; }
	@rm -f build-configure.tmp
	@cmake --build --preset release -j $(JOBS)

demo: build
	@$(PROGRAM) pipeline -c $(PIPELINE) -o runs/demo --resume

demo-train: build
	@$(PROGRAM) train -c $(DEMO) -o runs/demo-train --force

demo-wide: build
	@$(PROGRAM) train -c $(DEMO) -o runs/demo-wide --force --set bits=[2,3,4,6,8,32]

test: build
	@ctest --preset release -j $(JOBS)

test-light:
	@tools/setup.sh light
	@cmake --preset light && cmake --build --preset light -j $(JOBS) && ctest --preset light -j $(JOBS)

test-asan: setup
	@cmake --preset asan && cmake --build --preset asan -j $(JOBS) && ctest --preset asan -j $(JOBS)

bench: build
	@build/release/bin/bench_cdt_step

# A verb that is gone leaves no page.
reference: build
	@rm -rf docs/reference && $(PROGRAM) pages reference -o docs/reference

# One with everything, one without what needs torch.
packages: build
	@cmake --preset light && cmake --build --preset light -j $(JOBS)
	@for preset in light release; do cpack -G DEB --config build/$$preset/CPackConfig.cmake -B build/packages || exit 1; done

format:
	@git ls-files '*.h' '*.cpp' | xargs clang-format -i

clean:
	@rm -rf build
