#!/bin/bash
# packages.sh FOLDER: installs the tarball and the Debian package of this folder into empty places, runs the program
# there and removes it again. Says nothing if all is well.
set -euo pipefail
shopt -s nullglob
# The library that --pass adopt loads into the target, below the prefix.
library=lib/reuseport-exec/reuseport-adopt.so
folder=$(realpath "$1")
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT

fail() {
    echo "packages: $*" >&2
    exit 1
}

# expect_program PATH: checks that it has the version of the packages, finds its library, and opens a socket.
expect_program() {
    local said
    said=$("$1" --version)
    [[ $said == "reuseport-exec $version "* ]] || fail "$1 --version says: $said"
    said=$("$1" --socket http:127.0.0.1:0 --clear-env -- /usr/bin/env | grep ^LISTEN_FDNAMES=)
    [ "$said" = LISTEN_FDNAMES=http ] || fail "$1 passed on: $said"
    # It must find the library installed with it. ld.so would complain about one that it cannot load.
    said=$("$1" --socket http:127.0.0.1:0 --clear-env --pass adopt -- /usr/bin/printenv LD_PRELOAD 2>&1) || true
    [ "$said" = "$(realpath "${1%/bin/*}/$library")" ] || fail "$1 --pass adopt: $said"
}

# expect_files PREFIX FILE...: checks that the files exist and are not empty.
expect_files() {
    local prefix=$1 file
    shift
    for file in "$@"; do [ -s "$prefix/$file" ] || fail "$prefix/$file is missing"; done
}

# expect_unit PREFIX BINDIR: checks that the unit starts the program there.
expect_unit() {
    grep -q "^ExecStart=$2/reuseport-exec boot$" "$1/lib/systemd/system/reuseport-exec-boot.service" ||
        fail "the unit below $1 does not start $2/reuseport-exec"
}

# nothing_of FOLDER: checks that none of our files is left.
nothing_of() {
    local left
    left=$(find "$1" -iname '*reuseport*')
    [ -z "$left" ] || fail "left behind: $left"
}

pages=(man/man1/reuseport-exec{,-deploy}.1 man/man5/reuseport-exec.conf.5 man/man7/reuseport-{exec,adopt}.7)

# Unpacks the tarball into a prefix, which makes it an installation that `make uninstall` removes.
tarballs=("$folder"/*.tar.gz) packages=("$folder"/*.deb)
[ "${#tarballs[@]} ${#packages[@]}" = '1 1' ] || fail "not one tarball and one package: $(ls "$folder")"
version=$(basename "${tarballs[0]}")
version=${version#reuseport-exec-}
version=${version%%-linux-*}
(cd "$folder" && sha256sum --quiet --check -- *.sha256)
if tar -tzvf "${tarballs[0]}" --numeric-owner | grep -v ' 0/0 '; then fail 'the tarball has files of other owners'; fi
mkdir "$place/prefix"
tar -xzf "${tarballs[0]}" --strip-components=1 --no-overwrite-dir -C "$place/prefix"
expect_program "$place/prefix/bin/reuseport-exec"
expect_files "$place/prefix" "$library"
expect_files "$place/prefix/share" "${pages[@]}" bash-completion/completions/reuseport-exec \
    zsh/site-functions/_reuseport-exec fish/vendor_completions.d/reuseport-exec.fish \
    doc/reuseport-exec/{README.md,LICENSE,CHANGELOG.md,examples/systemd/web@.service}
expect_unit "$place/prefix" /usr/local/bin
"${MAKE:-make}" --silent PREFIX="$place/prefix" uninstall
nothing_of "$place/prefix"

# Looks into the Debian package itself: dpkg may be configured to skip documents, as in containers.
dpkg-deb --extract "${packages[0]}" "$place/extracted"
expect_files "$place/extracted/usr" "$library"
expect_files "$place/extracted/usr/share" "${pages[@]/%/.gz}" bash-completion/completions/reuseport-exec \
    zsh/vendor-completions/_reuseport-exec fish/vendor_completions.d/reuseport-exec.fish \
    doc/reuseport-exec/{README.md,copyright,changelog.gz,examples/systemd/web@.service}
expect_files "$place/extracted/etc" logrotate.d/reuseport-exec
if command -v logrotate >/dev/null; then
    said=$(logrotate --debug --state /dev/null "$place/extracted/etc/logrotate.d/reuseport-exec" 2>&1) || fail "$said"
    [[ $said != *error:* ]] || fail "$said"
fi
expect_unit "$place/extracted/usr" /usr/bin
[ "$(dpkg-deb --field "${packages[0]}" Version)" = "$version" ] || fail 'tarball and package differ in their version'
depends=$(dpkg-deb --field "${packages[0]}" Depends)
[[ $depends =~ ^'libc6 (>= '[0-9.]+')'$ ]] || fail "it depends on more than libc6: $depends"

# Installs and purges it in a root folder of its own. No other package is listed there, so dependencies are ignored.
mkdir -p "$place"/root/var/lib/dpkg/{info,updates}
touch "$place/root/var/lib/dpkg/status"
scratch_dpkg() {
    local as_root=()
    [ "$(id -u)" = 0 ] || as_root=(unshare --map-root-user)
    "${as_root[@]}" dpkg --root="$place/root" --log=/dev/null --force-depends "$@" >"$place/said" 2>&1 || {
        cat "$place/said" >&2
        fail "dpkg $*"
    }
}
before=$(cd "$place/root" && find . ! -path './var/*' | sort)
scratch_dpkg --install "${packages[0]}"
expect_program "$place/root/usr/bin/reuseport-exec"
scratch_dpkg --purge reuseport-exec
nothing_of "$place/root"
after=$(cd "$place/root" && find . ! -path './var/*' | sort)
[ "$before" = "$after" ] || fail "left behind: $after"
