#!/bin/bash
# docs.sh BUILD FOLDER: makes the documentation of ReusePortKit from its catalogue and its comments, with what is built
# in BUILD. Says nothing if all is well. Warnings are errors, and so is a symbol that the first page does not name.
set -euo pipefail
build=$1 folder=$2
swift=$(command -v "${SWIFT:-swift}")

# tool NAME: where it is. It comes with Swift, which may not be in PATH itself.
tool() { command -v "$1" || echo "$(dirname "$(readlink -f "$swift")")/$1"; }

symbols=$folder/symbols pages=$folder/pages
rm -rf "$symbols" "$pages"
mkdir -p "$symbols"
target=$("$swift" -print-target-info | sed -nE 's/^ *"unversionedTriple": "(.*)",?$/\1/p')
"$(tool swift-symbolgraph-extract)" -module-name ReusePortKit -target "$target" -I "$build/Modules" -I Sources/CLinux \
    -minimum-access-level public -skip-synthesized-members -output-dir "$symbols"
"$(tool docc)" convert Sources/ReusePortKit/ReusePortKit.docc --additional-symbol-graph-dir "$symbols" \
    --fallback-display-name ReusePortKit --fallback-bundle-identifier ReusePortKit \
    --transform-for-static-hosting --warnings-as-errors --output-dir "$pages" | { grep . >&2 || true; }
if grep -qE '"generated" ?: ?true' "$pages/data/documentation/reuseportkit.json"; then
    echo "docs: ReusePortKit.md does not name each public symbol: see what docc adds to $pages/documentation" >&2
    exit 1
fi
