#!/bin/bash
# layers.sh [FOLDER]: fails if a layer uses one that stands above it, or beside it. Says nothing if all is well.
#
# A layer is a folder of Sources/ReusePortKit, but for that of the documentation (.docc). This list has each with the
# layers it may use; what lies in no folder (Run.swift) stands above them all.
layers='
System:
Launch:      System
Steering:    System
Registry:    System Launch Steering
Supervisors: System Launch Steering Registry
Handoff:     System Launch Steering Registry Supervisors
Output:      System Launch Steering Registry Supervisors Handoff
Receive:     System
Commands:    System Launch Steering Registry Supervisors Handoff Output Receive
'
# The compiler sees only the files of a layer and of those it may use, and so does not know any other name. Files of
# the layer are "primary" to it, the others are only looked up in: what is wrong in a layer is told once.
set -euo pipefail
shopt -s globstar nullglob
folder=${1:-Sources/ReusePortKit}
swiftc=${SWIFT:-swift}c
failed=0
[ -d "$folder/System" ] || {
    echo "layers: $folder has no layers" >&2
    exit 1
}

for path in "$folder"/*/; do
    [[ $path != *.docc/ ]] || continue
    layer=$(basename "$path")
    if ! grep -q "^$layer:" <<<"$layers"; then
        echo "layers: $layer is not in the list of layers: add it to scripts/layers.sh" >&2
        failed=1
    fi
done

while IFS=: read -r layer uses; do
    own=("$folder/$layer"/**/*.swift)
    [ ${#own[@]} -gt 0 ] || continue
    files=()
    for file in "${own[@]}"; do files+=(-primary-file "$file"); done
    for used in $uses; do files+=("$folder/$used"/**/*.swift); done
    if ! said=$("$swiftc" -frontend -typecheck -parse-as-library -module-name ReusePortKit -swift-version 6 \
        -I "$folder/../CLinux" "${files[@]}" 2>&1); then
        errors=$(sed -nE "s/^(.*:[0-9]+):[0-9]+: error: (.*)/layers: $layer uses what stands above it: \1: \2/p" \
            <<<"$said" | uniq)
        printf '%s\n' "${errors:-$said}" >&2
        failed=1
    fi
done < <(grep . <<<"$layers")
exit $failed
