#!/bin/bash
# deb.sh VERSION FOLDER: makes a Debian package of what is built and prints its name.
#
# Uses dpkg-deb alone: installing it configures, starts and asks nothing, so the package has no scripts.
set -euo pipefail
version=$1 folder=$2
for tool in dpkg-deb dpkg-shlibdeps; do
    command -v $tool >/dev/null || {
        echo "make: $tool is missing; it is in Debian's dpkg-dev" >&2
        exit 1
    }
done
. packaging/common.sh
architecture=$(dpkg --print-architecture)
documents=$stage/usr/share/doc/reuseport-exec

# Debian has its own places for zsh completions, licence and changelog.
install_all /usr ZSHCOMPDIR=/usr/share/zsh/vendor-completions install install-docs
rm "$documents/LICENSE" "$documents/CHANGELOG.md"
cp packaging/copyright "$documents/copyright"
packaging/changelog.sh | gzip -9 --no-name >"$documents/changelog.gz"
gzip -9 --no-name "$stage"/usr/share/man/man?/*
install -D -m 644 docs/logrotate "$stage/etc/logrotate.d/reuseport-exec"

# Depends on the oldest libc6 that has all symbols used. dpkg-shlibdeps needs a source package to look at.
mkdir "$stage/DEBIAN" "$place/debian"
printf 'Source: reuseport-exec\n\nPackage: reuseport-exec\nArchitecture: any\n' >"$place/debian/control"
mapfile -t programs < <(find "$stage" -type f -exec grep -l -a $'^\x7fELF' {} + | sort)
depends=$(cd "$place" && dpkg-shlibdeps -O "${programs[@]}" | sed -n 's/^shlibs:Depends=//p')
[ -n "$depends" ]
# Packed relocations need a loader of glibc 2.36, which dpkg-shlibdeps of Debian 12 overlooks.
needs=$(readelf -VW "${programs[@]}")
if [[ $needs == *GLIBC_ABI_DT_RELR* ]]; then
    known=$(tr -cd '0-9.' <<<"${depends#libc6}")
    depends="libc6 (>= $(printf '%s\n' 2.36 "$known" | sort -V | tail -n 1))"
fi

# Adds up the size in KiB as Debian does: each file rounded up, 1 for anything else.
size=$(find "$stage/etc" "$stage/usr" -printf '%y %s\n' |
    awk '{ total += $1 == "f" ? int(($2 + 1023) / 1024) : 1 } END { print total }')
sed -e "s/@VERSION@/$version/" -e "s/@ARCHITECTURE@/$architecture/" -e "s/@SIZE@/$size/" -e "s/@DEPENDS@/$depends/" \
    packaging/control >"$stage/DEBIAN/control"
(cd "$stage" && find usr -type f -print0 | sort -z | xargs -0 md5sum) >"$stage/DEBIAN/md5sums"
echo /etc/logrotate.d/reuseport-exec >"$stage/DEBIAN/conffiles"
settle
mkdir -p "$folder"
package=$folder/reuseport-exec_${version}_$architecture.deb
# Uses one thread, because their number changes the bytes.
DPKG_DEB_THREADS_MAX=1 dpkg-deb --root-owner-group -Zxz --build "$stage" "$package" >/dev/null
echo "$package"
