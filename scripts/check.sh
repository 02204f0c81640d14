#!/bin/bash
# check.sh: formatting, shell files, manual page, completions, both builds with warnings as errors, and the packages.
# Everything is looked at, whatever fails first; exit code 1 if anything did.
set -uo pipefail
swift=${SWIFT:-swift} make=${MAKE:-make}
failed=0

# run NAME COMMAND...: shows its output only if it fails, or if it says anything of a warning.
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

# with TOOL NAME COMMAND...: skipped where the tool is missing, which is a failure in CI.
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

# Files that a shell runs, by suffix or by their first line.
shell_files() {
    find . \( -name .build -o -name .git \) -prune -o -type f -print | while IFS= read -r file; do
        case $file in
            *.sh | *.bash) echo "$file" ;;
            *.swift | *.c | *.h | *.md) ;;
            *) head -n 1 "$file" | grep -aqE '^#!.*[/ ](sh|bash|dash)( |$)' && echo "$file" ;;
        esac
    done
}

# Lines beyond 120 columns, where no formatter looks.
# shellcheck disable=SC2317 # It is called by its name.
long_lines() {
    local files
    mapfile -t files < <(find Sources Tests bench -name '*.[ch]')
    ! grep -nE '^.{121,}$' Makefile "${shell_files[@]}" "${files[@]}"
}

# Zero bytes in literals, which end them in Embedded Swift (see ByteString).
# shellcheck disable=SC2317 # It is called by its name.
zero_bytes() { ! grep -rnE '"[^"]*\\(0|u\{0+\})' Sources; }

# elsewhere TARGET...: makes them of a copy of the sources, in another folder and with another umask and language, so
# that what is made of it can be compared. Files are linked and not copied, for to the build they are the same files
# then, and are not compiled again. Warnings are errors there.
copy=.build/elsewhere/a-copy-of-the-sources
# shellcheck disable=SC2317 # It is called by its name.
elsewhere() {
    mkdir -p "$copy" && find "$copy" -mindepth 1 -maxdepth 1 ! -name .build -exec rm -rf {} + &&
        { cp -al -- [!.]* "$copy" 2>/dev/null || cp -a -- [!.]* "$copy"; } &&
        (umask 077 && LC_ALL=C TZ=Asia/Kathmandu "$make" --silent -C "$copy" \
            FLAGS='-Xswiftc -warnings-as-errors' "$@")
}

mapfile -t shell_files < <(shell_files)
run 'swift format' "$swift" format lint --strict --recursive Package.swift Sources Tests
with shellcheck 'shellcheck' shellcheck "${shell_files[@]}"
run 'line lengths' long_lines
run 'zero bytes in literals' zero_bytes
run 'layers' scripts/layers.sh
if [ -e man/reuseport-exec.1 ]; then
    with mandoc 'manual page' mandoc -Tlint -W warning man/reuseport-exec.1
fi
[ ! -e completions/reuseport-exec.bash ] || run 'bash completion' bash -n completions/reuseport-exec.bash
[ ! -e completions/_reuseport-exec ] || with zsh 'zsh completion' zsh -n completions/_reuseport-exec
[ ! -e completions/reuseport-exec.fish ] || with fish 'fish completion' fish -n completions/reuseport-exec.fish
# In a folder of its own: what was built without this flag before would not be compiled, and not warn, again.
run 'ordinary build, with tests' "$swift" build --build-tests --scratch-path .build/check -Xswiftc -warnings-as-errors
run 'release build (Embedded Swift)' elsewhere all
rm -rf .build/packages "$copy/.build/packages"
with dpkg-shlibdeps 'packages' "$make" --silent dist deb
with dpkg-shlibdeps 'packages, made elsewhere' elsewhere dist deb
with dpkg-shlibdeps 'packages, byte for byte the same' diff --recursive .build/packages "$copy/.build/packages"
with lintian 'lintian' lintian --allow-root --fail-on error,warning .build/packages/*.deb
with dpkg-shlibdeps 'packages, installed and removed' scripts/packages.sh .build/packages
exit $failed
