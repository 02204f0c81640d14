# make            the release binary: .build/embedded/release/reuseport-exec
# make demo       see it work
# make test       everything that can be tested here; ARGS='--filter Name' goes to swift test
# make check      formatting, shell, manual page, both builds without warnings
# make completions  writes what follows from the tables of options and verbs into completions/*
# make format     puts the sources into the form that check wants
# make bench-exec what the launcher costs, beside others (as root)
# make bench-handoff  what a handoff costs the clients, beside others (as root); HANDOFFS=10 for a quick look
# make pictures   docs/*.svg: what is seen in a terminal, with tmux
# make bench-deploy   how long a deploy takes, beside a loop in a shell
# make bench-adopt    what --pass adopt costs a server
# make install    to $(DESTDIR)$(PREFIX); install-docs adds documents and examples; uninstall removes all of it again
# make dist       all of that as a tarball for any prefix; make deb, as a Debian package: both in .build/packages
# make setup      installs what tests and benchmarks need (Debian)

SWIFT ?= swift
PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib/reuseport-exec
MANDIR ?= $(PREFIX)/share/man
BASHCOMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPDIR ?= $(PREFIX)/share/zsh/site-functions
FISHCOMPDIR ?= $(PREFIX)/share/fish/vendor_completions.d
DOCDIR ?= $(PREFIX)/share/doc/reuseport-exec
INSTALL ?= install
ARGS ?=
# More flags for the release build.
FLAGS ?=

# The version stands here alone; what else names it is tested.
VERSION := $(shell sed -n 's/^public var version: .* "\(.*\)" }$$/\1/p' Sources/ReusePortKit/System/Bytes/Version.swift)
PACKAGES := .build/packages
EMBEDDED := .build/embedded
BINARY := $(EMBEDDED)/release/reuseport-exec
SAMPLE_SERVER := $(EMBEDDED)/release/sample-server
LOAD_GENERATOR := $(EMBEDDED)/release/load-generator
# What --pass adopt loads into the target; the launcher finds it beside itself, or in ../lib/reuseport-exec.
ADOPT := $(EMBEDDED)/release/reuseport-adopt.so

# The same sources as the ordinary build, as Embedded Swift: small, and in need of libc only. Nothing unwinds or is
# debugged in it: no frame pointers, no tables for that. Neither functions nor loops are copied to have one that is
# special. Code is generated when all is linked, so that equal functions, and pieces of them, are there once and not
# once for each file; lld comes with every Swift. Only then are functions inlined, where that saves code: Swift would
# inline what is small in its own form, and so make large frames, in which every access takes three bytes more. For the
# same reason nothing is moved out of loops, and no block gets another before it for what is copied on the way to it;
# blocks stay in the order they come in, and their equal ends are one. The pass that takes away checks of bounds
# (bcopts) takes away one more in some builds than in others, by where things are in the compiler's memory: without it
# the same sources become the same bytes.
EMBEDDED_FLAGS := -c release --experimental-lto-mode full --disable-local-rpath \
	--omit-frame-pointers -debug-info-format none \
	-Xswiftc -enable-experimental-feature -Xswiftc Embedded -Xswiftc -wmo -Xswiftc -Osize \
	-Xswiftc -Xfrontend -Xswiftc -function-sections -Xswiftc -Xfrontend -Xswiftc -mergeable-traps \
	-Xswiftc -Xllvm -Xswiftc -inline-threshold=0 -Xswiftc -Xllvm -Xswiftc -enable-machine-outliner=always \
	-Xswiftc -Xllvm -Xswiftc -sil-disable-pass=inline \
	-Xswiftc -Xllvm -Xswiftc -sil-disable-pass=closure-specialize \
	-Xswiftc -Xllvm -Xswiftc -sil-disable-pass=array-property-opt \
	-Xswiftc -Xllvm -Xswiftc -sil-disable-pass=loop-rotate \
	-Xswiftc -Xllvm -Xswiftc -sil-disable-pass=bcopts \
	-Xswiftc -use-ld=lld -Xlinker --icf=all \
	-Xlinker -mllvm -Xlinker -inline-threshold=0 -Xlinker -mllvm -Xlinker -enable-machine-outliner=always \
	-Xlinker -O2 -Xlinker -mllvm -Xlinker -tail-merge-size=2 \
	-Xlinker -mllvm -Xlinker -disable-block-placement -Xlinker -mllvm -Xlinker -disable-phi-elim-edge-splitting \
	-Xlinker -mllvm -Xlinker -disable-machine-licm -Xlinker -mllvm -Xlinker -split-spill-mode=size \
	-Xswiftc -Xclang-linker -Xswiftc -Xclang -Xswiftc -Xclang-linker -Xswiftc -disable-llvm-passes \
	-Xlinker -s -Xlinker --gc-sections -Xlinker --as-needed -Xlinker -z -Xlinker relro -Xlinker -z -Xlinker now

.PHONY: all fixtures demo pictures test check completions format bench-exec bench-handoff bench-deploy bench-adopt install \
	install-docs uninstall dist deb setup clean

all:
	@SWIFT='$(SWIFT)' scripts/build.sh $(EMBEDDED) reuseport-exec $(EMBEDDED_FLAGS) $(FLAGS)
	@SWIFT='$(SWIFT)' scripts/build-adopt.sh $(ADOPT)

fixtures:
	@SWIFT='$(SWIFT)' scripts/build.sh $(EMBEDDED) sample-server $(EMBEDDED_FLAGS)
	@SWIFT='$(SWIFT)' scripts/build.sh $(EMBEDDED) load-generator $(EMBEDDED_FLAGS)

demo: all fixtures
	@scripts/demo/demo.sh $(BINARY) $(SAMPLE_SERVER) $(LOAD_GENERATOR)

pictures: all fixtures
	@scripts/demo/pictures.sh $(BINARY) $(SAMPLE_SERVER) $(LOAD_GENERATOR) docs

test: setup all fixtures
	REUSEPORT_EXEC='$(abspath $(BINARY))' SAMPLE_SERVER='$(abspath $(SAMPLE_SERVER))' \
	LOAD_GENERATOR='$(abspath $(LOAD_GENERATOR))' $(SWIFT) test $(ARGS)

check: setup
	@SWIFT='$(SWIFT)' MAKE='$(MAKE)' scripts/check.sh

completions:
	WRITE_COMPLETIONS=1 $(SWIFT) test --filter CompletionTests

format:
	$(SWIFT) format --in-place --recursive Package.swift Sources Tests

bench-exec: setup all
	@bench/bench-exec.sh $(BINARY)

bench-handoff: setup all fixtures
	@bench/bench-handoff.py $(BINARY) $(SAMPLE_SERVER) $(LOAD_GENERATOR)

bench-deploy: setup all fixtures
	@bench/bench-deploy.py $(BINARY) $(SAMPLE_SERVER)

bench-adopt: setup all fixtures
	@bench/bench-adopt.py $(BINARY) $(LOAD_GENERATOR)

# What is built already is not built again: root may have no Swift in its PATH.
install:
	@test -x $(BINARY) -a -e $(ADOPT) || $(MAKE) all
	$(INSTALL) -D -m 755 $(BINARY) '$(DESTDIR)$(BINDIR)/reuseport-exec'
	$(INSTALL) -D -m 644 $(ADOPT) '$(DESTDIR)$(LIBDIR)/reuseport-adopt.so'
	$(INSTALL) -D -m 644 man/reuseport-exec.1 '$(DESTDIR)$(MANDIR)/man1/reuseport-exec.1'
	$(INSTALL) -D -m 644 completions/reuseport-exec.bash '$(DESTDIR)$(BASHCOMPDIR)/reuseport-exec'
	$(INSTALL) -D -m 644 completions/_reuseport-exec '$(DESTDIR)$(ZSHCOMPDIR)/_reuseport-exec'
	$(INSTALL) -D -m 644 completions/reuseport-exec.fish '$(DESTDIR)$(FISHCOMPDIR)/reuseport-exec.fish'

install-docs:
	$(INSTALL) -d '$(DESTDIR)$(DOCDIR)'
	cp -R README.md CHANGELOG.md LICENSE docs examples '$(DESTDIR)$(DOCDIR)'
	chmod -R u=rwX,go=rX '$(DESTDIR)$(DOCDIR)'

uninstall:
	rm -rf '$(DESTDIR)$(DOCDIR)'
	rm -f '$(DESTDIR)$(BINDIR)/reuseport-exec' '$(DESTDIR)$(LIBDIR)/reuseport-adopt.so' \
		'$(DESTDIR)$(MANDIR)/man1/reuseport-exec.1' \
		'$(DESTDIR)$(BASHCOMPDIR)/reuseport-exec' '$(DESTDIR)$(ZSHCOMPDIR)/_reuseport-exec' \
		'$(DESTDIR)$(FISHCOMPDIR)/reuseport-exec.fish'
	-rmdir '$(DESTDIR)$(LIBDIR)' 2>/dev/null || true

dist: all
	@MAKE='$(MAKE)' packaging/dist.sh $(VERSION) $(PACKAGES)

deb: all
	@MAKE='$(MAKE)' packaging/deb.sh $(VERSION) $(PACKAGES)

setup:
	@scripts/setup.sh

clean:
	rm -rf .build
