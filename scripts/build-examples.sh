#!/bin/bash
# build-examples.sh FOLDER: builds the examples that are packages of their own, each below this folder, for the tests.
# Leaves no old program where a build fails: the tests would take it for the new one.
set -uo pipefail
folder=$1
failed=0
for manifest in examples/*/Package.swift; do
    package=${manifest%/Package.swift}
    name=${package#examples/}
    "${SWIFT:-swift}" build --quiet --package-path "$package" --scratch-path "$folder/$name" || {
        echo "make: examples/$name is not built, and its tests cannot run" >&2
        rm -f "$folder/$name/debug/$name"
        failed=1
    }
done
exit $failed
