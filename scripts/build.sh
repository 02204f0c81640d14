#!/bin/sh
# build.sh FOLDER PRODUCT FLAG...: builds one product with these flags, and stamps it with the commit.
#
# The stamp is a tiny object file that is linked in: Swift has no flag that defines a string. Its name contains the
# commit, so that a new commit links again. Without git or a C compiler there is no stamp, and --version shows the
# version alone.
set -eu
folder=$1 product=$2
shift 2
swift=${SWIFT:-swift}
command -v "$swift" >/dev/null || {
    echo "make: swift is not in PATH; see https://www.swift.org/install" >&2
    exit 1
}
if [ "$product" = reuseport-exec ]; then
    commit=$(git describe --always --dirty --abbrev=12 --match= 2>/dev/null || true)
    compiler=
    for candidate in "${CC:-}" clang cc gcc "$(dirname "$(command -v "$swift")")/clang"; do
        if [ -n "$candidate" ] && command -v "$candidate" >/dev/null; then
            compiler=$candidate
            break
        fi
    done
    stamp=$PWD/$folder/stamp-$commit.o
    if [ -n "$commit" ] && [ -n "$compiler" ] && [ ! -e "$stamp" ]; then
        mkdir -p "$folder"
        rm -f "$folder"/stamp-*.o
        echo "const char reuseport_exec_commit[] = \"$commit\";" | "$compiler" -x c -c -o "$stamp" - || stamp=
    fi
    [ ! -e "$stamp" ] || set -- "$@" -Xlinker "$stamp"
fi
exec "$swift" build --scratch-path "$folder" --product "$product" "$@"
