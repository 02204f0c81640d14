#!/bin/sh
# build-adopt.sh OUTPUT: the preload library of dialect adopt, from C, by any compiler there is; Swift brings one along.
set -eu
output=$1
for compiler in "${CC:-}" cc gcc clang "$(dirname "$(command -v "${SWIFT:-swift}" || echo .)")/clang" ''; do
    [ -z "$compiler" ] || ! command -v "$compiler" >/dev/null || break
done
[ -n "$compiler" ] || {
    echo "make: there is no C compiler, which dialect adopt needs" >&2
    exit 1
}
[ -z "$(find Sources/adopt scripts/build-adopt.sh -newer "$output" 2>&1)" ] || {
    # Moved into its place when it is whole: programs may be running with the one that is there. Before glibc 2.34,
    # dlsym(3) is in a library of its own.
    "$compiler" -std=gnu11 -Os -fPIC -shared -fvisibility=hidden -ffunction-sections -Wall -Wextra -Werror \
        -s -Wl,-z,relro,-z,now,--hash-style=gnu,--gc-sections -o "$output.$$" Sources/adopt/*.c \
        -Wl,--as-needed -lpthread -ldl
    mv "$output.$$" "$output"
}
