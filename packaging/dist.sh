#!/bin/bash
# dist.sh VERSION FOLDER: makes a tarball to unpack into any prefix and its SHA-256, and prints their names.
set -euo pipefail
version=$1 folder=$2
. packaging/common.sh
name=reuseport-exec-$version-linux-$(uname -m)

install_all "/$name" UNIT_BINDIR=/usr/local/bin install install-docs
settle
mkdir -p "$folder"
tar --create --directory="$stage" --sort=name --format=ustar --owner=0 --group=0 --numeric-owner "$name" |
    gzip -9 --no-name >"$folder/$name.tar.gz"
(cd "$folder" && sha256sum "$name.tar.gz" >"$name.tar.gz.sha256")
echo "$folder/$name.tar.gz" "$folder/$name.tar.gz.sha256"
