#!/bin/sh
# build-adopt.sh OUTPUT: builds the preload library of dialect adopt from C, with any compiler; Swift includes one.
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
    # Replaces the old library by rename, because running programs may have it mapped. Links libdl and libpthread for
    # glibc before 2.34, where they are separate libraries.
    "$compiler" -std=gnu11 -Os -fPIC -shared -fvisibility=hidden -ffunction-sections -Wall -Wextra -Werror \
        -s -Wl,-z,relro,-z,now,--hash-style=gnu,--gc-sections -o "$output.$$" Sources/adopt/*.c \
        -Wl,--as-needed -lpthread -ldl
    mv "$output.$$" "$output"
}
