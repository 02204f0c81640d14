# make            the release binary: .build/embedded/release/reuseport-exec
# make demo       see it work
# make test       all tests that can run here; ARGS='--filter Name' goes to swift test, and builds no examples
# make examples   examples that are packages of their own, for the tests; takes minutes and needs their dependencies
# make docs       documentation of the library, for a browser, in .build/docs/pages
# make check      formatting, layers, shell, manual, both builds without warnings, reproducible packages
# make completions  writes what follows from the tables of options and verbs into completions/*
# make format     formats the sources as check expects them
# make bench-exec what the launcher costs, beside others (as root)
# make bench-handoff  what a handoff costs the clients, beside others (as root); HANDOFFS=10 for a quick look
# make pictures   docs/*.svg: what is seen in a terminal, with tmux
# make bench-deploy   how long a deploy takes, beside a loop in a shell
# make bench-adopt    what --pass adopt costs a server
# make bench-closing  what listeners that close lose without `hide`
# make soak       hands over under load while things go wrong at random; ROUNDS=500 for each level (as root)
# make matrix     what becomes of an app when its copies crash, hang, fork and so on, in all ways to run it (as root)
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
# Where units are, and the folder of the program that they start.
UNITDIR ?= $(PREFIX)/lib/systemd/system
UNIT_BINDIR ?= $(BINDIR)
INSTALL ?= install
# The unit that deploys at boot what is enabled.
UNIT := examples/systemd/reuseport-exec-boot.service
# The pages of the manual, and where they go: man/reuseport-exec.1 becomes man1/reuseport-exec.1.
PAGES := $(wildcard man/*.[1-9])
installed_page = $(DESTDIR)$(MANDIR)/man$(subst .,,$(suffix $(1)))/$(notdir $(1))
ARGS ?=
# More flags for the release build.
FLAGS ?=

# Version.swift is the only place that sets the version.
VERSION := $(shell sed -n 's/^public var version: .* "\(.*\)" }$$/\1/p' Sources/ReusePortKit/System/Bytes/Version.swift)
PACKAGES := .build/packages
EMBEDDED := .build/embedded
EXAMPLES := .build/examples
BINARY := $(EMBEDDED)/release/reuseport-exec
SAMPLE_SERVER := $(EMBEDDED)/release/sample-server
LOAD_GENERATOR := $(EMBEDDED)/release/load-generator
# The library that --pass adopt loads; the launcher looks for it beside itself and in ../lib/reuseport-exec.
ADOPT := $(EMBEDDED)/release/reuseport-adopt.so

# The release build: the same sources as the ordinary build as Embedded Swift, in need of libc only, with flags that
# compilers and linkers are tested with. None switches a single pass of the compiler off or tunes it.
EMBEDDED_FLAGS := -c release
# No runtime library, no reflection, no metadata.
EMBEDDED_FLAGS += -Xswiftc -enable-experimental-feature -Xswiftc Embedded
# Optimize each module as a whole, for size.
EMBEDDED_FLAGS += -Xswiftc -wmo -Xswiftc -Osize
# Generate code when everything is linked, so that unused and equal functions are dropped across modules.
EMBEDDED_FLAGS += --experimental-lto-mode full
# Link with lld, which comes with Swift and can do that.
EMBEDDED_FLAGS += -Xswiftc -use-ld=lld
# Put each function into a section of its own, drop the sections that nothing uses, and merge equal ones.
EMBEDDED_FLAGS += -Xswiftc -Xfrontend -Xswiftc -function-sections
EMBEDDED_FLAGS += -Xlinker --gc-sections
EMBEDDED_FLAGS += -Xlinker --icf=all
# Call swift_retain instead of repeating its body at some 1,800 places, which saves 34 kB: a wrapped name that leads to
# the real one is not inlined.
EMBEDDED_FLAGS += -Xlinker --wrap=swift_retain -Xlinker --defsym=__wrap_swift_retain=__real_swift_retain
# Put machine code that is repeated into functions, which saves 17 kB.
EMBEDDED_FLAGS += -Xlinker -mllvm -Xlinker -enable-machine-outliner=always
# Leave out what only debuggers and profilers read: debug information, symbols, frame pointers.
EMBEDDED_FLAGS += -debug-info-format none
EMBEDDED_FLAGS += -Xlinker -s
EMBEDDED_FLAGS += --omit-frame-pointers
# Resolve all symbols at the start and make the tables read-only then.
EMBEDDED_FLAGS += -Xlinker -z -Xlinker relro -Xlinker -z -Xlinker now
# Pack the relocations of the program's own pointers, which saves 15 kB. The C library must know that: glibc 2.36.
GLIBC := $(word 2,$(shell getconf GNU_LIBC_VERSION 2>/dev/null))
ifeq ($(shell printf '%s\n' 2.36 '$(GLIBC)' | sort -V | head -n 1),2.36)
EMBEDDED_FLAGS += -Xlinker -z -Xlinker pack-relative-relocs
endif
# Name only libraries that are used, and no folder to look for them.
EMBEDDED_FLAGS += -Xlinker --as-needed
EMBEDDED_FLAGS += --disable-local-rpath

.PHONY: all fixtures examples docs demo pictures test check completions format bench-exec bench-handoff bench-deploy \
	bench-adopt bench-closing matrix soak test-vm install install-docs uninstall dist deb setup clean

all:
	@SWIFT='$(SWIFT)' scripts/build.sh $(EMBEDDED) reuseport-exec $(EMBEDDED_FLAGS) $(FLAGS)
	@SWIFT='$(SWIFT)' scripts/build-adopt.sh $(ADOPT)

fixtures:
	@SWIFT='$(SWIFT)' scripts/build.sh $(EMBEDDED) sample-server $(EMBEDDED_FLAGS)
	@SWIFT='$(SWIFT)' scripts/build.sh $(EMBEDDED) load-generator $(EMBEDDED_FLAGS)

examples:
	@SWIFT='$(SWIFT)' scripts/build-examples.sh $(EXAMPLES)

docs:
	@$(SWIFT) build --target ReusePortKit
	@SWIFT='$(SWIFT)' scripts/docs.sh .build/debug .build/docs
	@echo 'to read it: python3 -m http.server --directory .build/docs/pages, at /documentation/reuseportkit'

demo: all fixtures
	@scripts/demo/demo.sh $(BINARY) $(SAMPLE_SERVER) $(LOAD_GENERATOR)

pictures: all fixtures
	@scripts/demo/pictures.sh $(BINARY) $(SAMPLE_SERVER) $(LOAD_GENERATOR) docs

# Without network, or without Swift's packages, the tests of these examples are skipped.
test: setup all fixtures
	$(if $(ARGS),,-@$(MAKE) --no-print-directory examples)
	REUSEPORT_EXEC='$(abspath $(BINARY))' SAMPLE_SERVER='$(abspath $(SAMPLE_SERVER))' \
	LOAD_GENERATOR='$(abspath $(LOAD_GENERATOR))' $(SWIFT) test $(ARGS)

check: setup
	@SWIFT='$(SWIFT)' MAKE='$(MAKE)' scripts/check.sh

# Machines with systemd as process 1 and a kernel each. The first run makes their images, in some 5 minutes.
MACHINES := host 5.10 6.1 6.12
test-vm: setup all
	@scripts/vm/test.sh '$(MAKE)' $(MACHINES)

completions:
	WRITE_COMPLETIONS=1 $(SWIFT) test --filter CompletionTests

format:
	$(SWIFT) format --in-place --recursive Package.swift Sources Tests examples

bench-exec: setup all
	@bench/bench-exec.sh $(BINARY)

bench-handoff: setup all fixtures
	@bench/bench-handoff.py $(BINARY) $(SAMPLE_SERVER) $(LOAD_GENERATOR)

bench-deploy: setup all fixtures
	@bench/bench-deploy.py $(BINARY) $(SAMPLE_SERVER)

bench-adopt: setup all fixtures
	@bench/bench-adopt.py $(BINARY) $(LOAD_GENERATOR)

bench-closing: setup
	@$(CC) -O2 -pthread -o .build/closing bench/closing.c
	@.build/closing 60

soak: setup all fixtures
	@bench/soak.py $(BINARY) $(SAMPLE_SERVER) $(LOAD_GENERATOR) $(or $(ROUNDS),500) $(SEED)

matrix: setup all
	@bench/matrix.py $(BINARY) $(ARGS)

# Does not build again what is there: root may have no Swift in its PATH.
install:
	@test -x $(BINARY) -a -e $(ADOPT) || $(MAKE) all
	$(INSTALL) -D -m 755 $(BINARY) '$(DESTDIR)$(BINDIR)/reuseport-exec'
	$(INSTALL) -D -m 644 $(ADOPT) '$(DESTDIR)$(LIBDIR)/reuseport-adopt.so'
	$(foreach page,$(PAGES),$(INSTALL) -D -m 644 $(page) '$(call installed_page,$(page))' &&) :
	$(INSTALL) -d '$(DESTDIR)$(UNITDIR)'
	sed 's#/usr/local/bin/#$(UNIT_BINDIR)/#' $(UNIT) >'$(DESTDIR)$(UNITDIR)/$(notdir $(UNIT))'
	chmod 644 '$(DESTDIR)$(UNITDIR)/$(notdir $(UNIT))'
	$(INSTALL) -D -m 644 completions/reuseport-exec.bash '$(DESTDIR)$(BASHCOMPDIR)/reuseport-exec'
	$(INSTALL) -D -m 644 completions/_reuseport-exec '$(DESTDIR)$(ZSHCOMPDIR)/_reuseport-exec'
	$(INSTALL) -D -m 644 completions/reuseport-exec.fish '$(DESTDIR)$(FISHCOMPDIR)/reuseport-exec.fish'

install-docs:
	$(INSTALL) -d '$(DESTDIR)$(DOCDIR)'
	cp -R README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE docs '$(DESTDIR)$(DOCDIR)'
	tar --create --exclude=.build --exclude=.swiftpm --exclude=Package.resolved examples | \
		tar --extract --directory='$(DESTDIR)$(DOCDIR)'
	chmod -R u=rwX,go=rX '$(DESTDIR)$(DOCDIR)'

uninstall:
	rm -rf '$(DESTDIR)$(DOCDIR)'
	rm -f '$(DESTDIR)$(BINDIR)/reuseport-exec' '$(DESTDIR)$(LIBDIR)/reuseport-adopt.so' \
		$(foreach page,$(PAGES),'$(call installed_page,$(page))') \
		'$(DESTDIR)$(BASHCOMPDIR)/reuseport-exec' '$(DESTDIR)$(ZSHCOMPDIR)/_reuseport-exec' \
		'$(DESTDIR)$(FISHCOMPDIR)/reuseport-exec.fish' '$(DESTDIR)$(UNITDIR)/$(notdir $(UNIT))'
	-rmdir '$(DESTDIR)$(LIBDIR)' 2>/dev/null || true

dist: all
	@MAKE='$(MAKE)' packaging/dist.sh $(VERSION) $(PACKAGES)

deb: all
	@MAKE='$(MAKE)' packaging/deb.sh $(VERSION) $(PACKAGES)

setup:
	@scripts/setup.sh

clean:
	rm -rf .build
