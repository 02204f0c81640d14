#!/bin/bash
# check.sh: checks formatting, layers, shell files, manual page, completions, all builds with warnings as errors,
# documentation, and the packages. Runs every check even after one has failed; exits with 1 if any did.
set -uo pipefail
swift=${SWIFT:-swift} make=${MAKE:-make}
failed=0

# run NAME COMMAND...: shows the command's output only if it fails or prints a warning.
run() {
    local name=$1 output
    shift
    printf 'check: %-32s ' "$name"
    if output=$("$@" 2>&1) && ! grep -q 'warning:' <<<"$output"; then
        echo ok
    else
        echo FAILED
        printf '%s\n' "$output"
        failed=1
    fi
}

# with TOOL NAME COMMAND...: the same, skipped if the tool is missing; in CI that is a failure.
with() {
    local tool=$1
    shift
    if command -v "$tool" >/dev/null; then
        run "$@"
    elif [ "${CI:-}" = true ]; then
        printf 'check: %-32s FAILED: %s is missing\n' "$1" "$tool"
        failed=1
    else
        printf 'check: %-32s skipped: %s is missing\n' "$1" "$tool"
    fi
}

# Lists files that a shell runs, found by suffix or first line.
shell_files() {
    find . \( -name .build -o -name .git \) -prune -o -type f -print | while IFS= read -r file; do
        case $file in
            *.sh | *.bash) echo "$file" ;;
            *.swift | *.c | *.h | *.md) ;;
            *) head -n 1 "$file" | grep -aqE '^#!.*[/ ](sh|bash|dash)( |$)' && echo "$file" ;;
        esac
    done
}

# Finds lines longer than 120 columns in files that have no formatter.
# shellcheck disable=SC2317 # It is called by its name.
long_lines() {
    local files
    mapfile -t files < <(find Sources Tests bench -name '*.[ch]')
    ! grep -nE '^.{121,}$' Makefile "${shell_files[@]}" "${files[@]}"
}

# elsewhere TARGET...: makes the targets from a copy of the sources in another folder, with another umask, language and
# time zone, so that the results can be compared. Files are hard links, so that their times stay and nothing is compiled
# twice. Warnings are errors.
copy=.build/elsewhere/a-copy-of-the-sources
# shellcheck disable=SC2317 # It is called by its name.
elsewhere() {
    mkdir -p "$copy" && find "$copy" -mindepth 1 -maxdepth 1 ! -name .build -exec rm -rf {} + &&
        { cp -al -- [!.]* "$copy" 2>/dev/null || cp -a -- [!.]* "$copy"; } &&
        (umask 077 && LC_ALL=C TZ=Asia/Kathmandu "$make" --silent -C "$copy" \
            FLAGS='-Xswiftc -warnings-as-errors' "$@")
}

mapfile -t shell_files < <(shell_files)
run 'swift format' "$swift" format lint --strict --recursive Package.swift Sources Tests examples
with shellcheck 'shellcheck' shellcheck "${shell_files[@]}"
run 'line lengths' long_lines
run 'layers' scripts/layers.sh
with mandoc 'manual' mandoc -Tlint -W warning man/*
[ ! -e completions/reuseport-exec.bash ] || run 'bash completion' bash -n completions/reuseport-exec.bash
[ ! -e completions/_reuseport-exec ] || with zsh 'zsh completion' zsh -n completions/_reuseport-exec
[ ! -e completions/reuseport-exec.fish ] || with fish 'fish completion' fish -n completions/reuseport-exec.fish
# Uses a folder of its own: files that were built without this flag would not be compiled again and so not warn.
run 'ordinary build, with tests' "$swift" build --build-tests --scratch-path .build/check -Xswiftc -warnings-as-errors
run 'documentation' scripts/docs.sh .build/check/debug .build/check/docs
# As servers build it that use the library: the compiler optimizes in another way than for Embedded Swift.
run 'release build (ordinary Swift)' "$swift" build -c release --product example-server --scratch-path .build/check \
    -Xswiftc -warnings-as-errors
run 'release build (Embedded Swift)' elsewhere all
rm -rf .build/packages "$copy/.build/packages"
with dpkg-shlibdeps 'packages' "$make" --silent dist deb
with dpkg-shlibdeps 'packages, made elsewhere' elsewhere dist deb
with dpkg-shlibdeps 'packages, byte for byte the same' diff --recursive .build/packages "$copy/.build/packages"
with lintian 'lintian' lintian --allow-root --fail-on error,warning .build/packages/*.deb
with dpkg-shlibdeps 'packages, installed and removed' scripts/packages.sh .build/packages
exit $failed
