#!/bin/bash
# test.sh MAKE KERNEL...: runs systemd.sh on a machine with each of these kernels; see vm.sh. Ends with 1 if one failed.
set -euo pipefail
cd "$(dirname "$0")/../.."
make=$1
shift
scripts/setup.sh vm
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
"$make" --no-print-directory -o all install "DESTDIR=$tree" PREFIX=/usr >/dev/null
# The unit names the program where systemd.sh puts it.
sed -i 's#/usr/bin/#/usr/local/bin/#' "$tree/usr/lib/systemd/system/reuseport-exec-boot.service"
cc -O2 -o "$tree/web" examples/listen-fds.c
failed=()
for kernel in "$@"; do
    echo "==> $kernel"
    start=$SECONDS
    scripts/vm/vm.sh "$kernel" scripts/vm/systemd.sh "$tree/usr" "$tree/web" examples/systemd/web@.service ||
        failed+=("$kernel")
    echo "==> $kernel: $((SECONDS - start)) s"
done
[ ${#failed[@]} -eq 0 ] || {
    echo "==> FAILED: ${failed[*]}"
    exit 1
}
