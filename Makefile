# SPDX-License-Identifier: Apache-2.0
#
# A thin front of meson, ninja and the scripts in tools/. Every target first installs what it
# needs and is not there (tools/deps).

# Where `make install` puts things; what was said last holds, and before that /usr/local.
PREFIX ?=
BUILD = tools/build build $(if $(PREFIX),--prefix=$(PREFIX))

.PHONY: all help demo demo-kernel test check drills userspace long release bench fuzz format lint lab install clean

all: ## build everything (build/)
	@tools/deps build
	@$(BUILD)

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.* ## /\1\t/p' $(MAKEFILE_LIST)

demo: ## boot a Debian cloud image in a sandboxed VM, and log in to it by ssh
	@tools/deps build cloud
	@$(BUILD)
	@tools/cloud-image/build
	@tools/demo

demo-kernel: ## boot a Debian kernel and busybox in a sandboxed VM; log in, or watch it come and go
	@tools/deps build guest
	@$(BUILD)
	@tools/guest/build
	@tools/demo-kernel

test: ## the quick tier: unit tests, the repository's own rules, tiny guests
	@tools/deps build guest check
	@tools/check gcc quick

check: ## everything that a change must pass
	@tools/deps build guest check lab lint
	@tools/check

drills: ## take over each process of running VMs, and try to get out (as root)
	@tools/deps build guest check
	@$(BUILD)
	@BULKHEAD_ACCEL=soft /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/drills

userspace: ## the long list of work in a Debian user space, against the same natively (BULKHEAD_ACCEL)
	@tools/deps build guest userspace check lab
	@USERSPACE=full LAB_SECONDS=30000 tools/check images gcc userspace

long: ## what make check takes a small part of: Debian guests of every size, a million IPIs between 2, 4 and 8 CPUs, 10 MiB of serial input, 1,000 kills of devices, disks that come and go beside 8 busy CPUs, a root on qcow2, QEMU in front of it, a cloud image that comes up, discs that boot, a disk of a Ceph cluster where its packages are installed, a boot that UEFI measures, a disk that a TPM opens
	@tools/deps build guest cloud check lab long
	@$(BUILD)
	@tools/guest/build
	@tools/cloud-image/build
	@BULKHEAD_IPIS=1000000 BULKHEAD_INPUT=10485760 BULKHEAD_KILLS=1000 BULKHEAD_BUSY_CPUS=8 BULKHEAD_ACCEL=soft /usr/bin/python3 -m pytest -q \
		-p no:cacheprovider tests/guest tests/linux -s \
		-k "no_ipi_is_lost or much_serial_input or killed_devices or while_cpus_work"
	@BULKHEAD_LONG=1 BULKHEAD_ACCEL=soft /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/linux
	@BULKHEAD_LONG=1 /usr/bin/python3 -m pytest -q -p no:cacheprovider tests/device/test_interop_qemu.py tests/device/test_passt.py

release: ## what a release must pass: make check with every stage at its longest, make userspace and make long (hours)
	@tools/deps build guest check lab lint
	@FUZZ_SECONDS=600 LINT_NODES=225000 tools/check
	@tools/check whole_clang bugs
	@$(MAKE) userspace long

bench: ## compare with other monitors
	@tools/deps build guest cloud lab bench
	@$(BUILD)
	@tools/cloud-image/build
	@tools/bench

fuzz: ## fuzz every codec, device and parser, and the software CPU (FUZZ_SECONDS each, default 60)
	@tools/deps build fuzz
	@tools/fuzz

format: ## lay the C files out as .clang-format says
	@tools/deps check
	@tools/format

lint: ## static analysis
	@tools/deps build lint check
	@tools/lint

lab: ## a shell on a Debian host with a real KVM, inside an emulator
	@tools/deps lab guest
	@tools/lab shell

install: all ## install under PREFIX (and DESTDIR)
	meson install -C build --no-rebuild

clean: ## remove everything built
	rm -rf build build-*
