# shellcheck shell=bash
# What both packages have in common: they hold what `make install` installs, and are the same bytes whoever makes them,
# when and where. Read by dist.sh and deb.sh, from the folder of the Makefile.

# Names in their order, messages and dates in one language.
export LC_ALL=C.UTF-8 TZ=UTC0
umask 022

# The time that all files get: that of the last commit, without git that of the manual.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git log -1 --format=%ct 2>/dev/null) ||
        SOURCE_DATE_EPOCH=$(date -d "$(sed -n 's/^\.Dd //p' man/reuseport-exec.1)" +%s)
fi
export SOURCE_DATE_EPOCH

# Where it is put together.
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
stage=$place/stage
mkdir "$stage"

# install_all PREFIX VARIABLE...: what `make install` installs there, below $stage.
install_all() {
    local prefix=$1
    shift
    "${MAKE:-make}" --silent --no-print-directory DESTDIR="$stage" PREFIX="$prefix" "$@"
}

# settle: the same modes and times for everything below $stage.
settle() {
    chmod -R u=rwX,go=rX "$stage"
    find "$stage" -exec touch --no-dereference --date="@$SOURCE_DATE_EPOCH" {} +
}
