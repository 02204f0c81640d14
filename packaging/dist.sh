#!/bin/bash
# dist.sh VERSION FOLDER: a tarball to be unpacked into any prefix, and beside it its SHA-256. Writes their names.
set -euo pipefail
version=$1 folder=$2
. packaging/common.sh
name=reuseport-exec-$version-linux-$(uname -m)

install_all "/$name" install install-docs
settle
mkdir -p "$folder"
tar --create --directory="$stage" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner "$name" |
    gzip -9 --no-name >"$folder/$name.tar.gz"
(cd "$folder" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "$folder/$name.tar.gz" "$folder/$name.tar.gz.sha256"
