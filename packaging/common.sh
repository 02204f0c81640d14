# shellcheck shell=bash
# Shared by dist.sh and deb.sh, which source it from the folder of the Makefile. Both pack what `make install` installs,
# and produce the same bytes whoever runs them, when and where.

# Sorts names and prints dates the same way everywhere.
export LC_ALL=C.UTF-8 TZ=UTC0
umask 022

# All files get the time of the last commit or, without git, of the manual.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) ||
        SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^\.Dd //p' man/reuseport-exec.1)" +%s)
fi
export SOURCE_DATE_EPOCH

# The packages are put together here.
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
stage=$place/stage
mkdir "$stage"

# install_all PREFIX ARGUMENT...: runs make with these arguments for this prefix, installing below $stage.
install_all() {
    local prefix=$1
    shift
    "${MAKE:-make}" --silent --no-print-directory DESTDIR="$stage" PREFIX="$prefix" "$@"
}

# settle: gives everything below $stage the same modes and times.
settle() {
    chmod -R u=rwX,go=rX "$stage"
    find "$stage" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}
