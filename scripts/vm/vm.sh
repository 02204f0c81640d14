#!/bin/bash
# Runs a script on a machine of its own: systemd as process 1, control groups of version 2, and a kernel of choice.
#
#     vm.sh KERNEL SCRIPT [FILE ...]
#
# KERNEL is 5.10, 6.1 or 6.12, the cloud kernels of Debian 11, 12 and 13 under qemu; or host: the kernel that runs here,
# in namespaces, which is up in a second, but has the memory controller only where cgroup2 of this machine has it.
#
# SCRIPT, FILEs and folders are copied to /payload; there SCRIPT is run by root, in a session of logind, with BOOT=1. It
# may say `systemctl reboot` and end: then it is run again, with BOOT=2. What it writes is written here, and its exit
# code is that of vm.sh (111 if there is none). The machine has Debian 12 with node, python3, curl and a user app, two
# processors, and no network; its disk is forgotten. What the kernel and systemd say is in $VM_CACHE/console.log.
#
# Needs root on Debian, and what scripts/setup.sh vm installs; no KVM, but takes it if it is there. Packages come from
# where apt has its own, whose sources stay as they are. One at a time. In the environment: VM_CACHE, where root and
# kernels are kept, 1.6 GB (/var/tmp/reuseport-exec-vm); VM_TIMEOUT, seconds (900); VM_MEMORY (2G); VM_APPEND, more for
# the kernel's command line.
#
# Took, on two processors without KVM: the root 140 s, once; 15 s for each kernel, once; a boot 10 to 30 s until the
# script runs; host 2 s in all. A program that computes runs ten times slower than outside; give loads and time limits
# room, and leave the other processor alone meanwhile.
set -eu
umask 022
PATH=$PATH:/usr/sbin:/sbin

[ $# -ge 2 ] || { sed -n '2,4p' "$0" >&2; exit 100; }
kernel=$1 script=$2
shift 2
case $kernel in
    5.10) suite=bullseye ;;
    6.1) suite=bookworm ;;
    6.12) suite=trixie ;;
    host) ;;
    *) echo "vm.sh: no kernel $kernel; there are 5.10, 6.1, 6.12 and host" >&2; exit 100 ;;
esac
cache=${VM_CACHE:-/var/tmp/reuseport-exec-vm}
mkdir -p "$cache"
root=$cache/root image=$cache/$kernel
work=$(mktemp -d "$cache/run.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# shellcheck disable=SC2016 # These are apt's own names.
mirror=$(apt-get indextargets --format '$(ORIGIN) $(REPO_URI)' 'Created-By: Packages' |
    sed -n '/security/!s/^Debian //p' | head -n 1)

# Runs a program of apt's with one suite, and lists of its own: apt_in SUITE PROGRAM [ARGUMENT ...]
apt_in() {
    apt=$work/apt-$1
    if [ ! -e "$apt" ]; then
        mkdir -p "$apt/lists/partial" "$apt/cache/archives/partial"
        echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $1 main" >"$apt/sources.list"
        : >"$apt/status"
        printf '%s\n' "Dir::State \"$apt\";" "Dir::State::status \"$apt/status\";" "Dir::Cache \"$apt/cache\";" \
            "Dir::Etc::sourcelist \"$apt/sources.list\";" 'Dir::Etc::sourceparts "-";' \
            'APT::Sandbox::User "root";' >"$apt/apt.conf"
        APT_CONFIG=$apt/apt.conf apt-get -qq update
    fi
    shift
    APT_CONFIG=$apt/apt.conf "$@"
}

# The root, once for all.
if [ ! -e "$root.done" ]; then
    echo "vm.sh: making the root: 2 to 3 minutes" >&2
    rm -rf "$root"
    packages=systemd,systemd-sysv,udev,dbus,libpam-systemd,libnss-systemd,kmod,procps,iproute2
    debootstrap --variant=minbase "--include=$packages,curl,nodejs,python3-minimal" bookworm "$root" "$mirror" \
        >"$work/log" ||
        { tail -n 20 "$work/log" >&2; exit 111; }
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/* "$root/etc/apt/sources.list" \
        "$root/var/log/bootstrap.log"
    useradd --root "$root" --system --user-group --shell /usr/sbin/nologin app
    touch "$root.done"
fi
if [ ! -e "$root.set" ] || [ "$0" -nt "$root.set" ]; then
    cat >"$root/etc/systemd/system/payload.service" <<'END'
[Unit]
Description=the script
After=multi-user.target systemd-logind.service
SuccessAction=poweroff
FailureAction=poweroff
[Service]
Type=oneshot
User=root
PAMName=login
TTYPath=/dev/ttyS1
StandardInput=null
StandardOutput=tty
StandardError=tty
TimeoutStartSec=infinity
ExecStart=/usr/local/sbin/payload
[Install]
WantedBy=graphical.target
END
    cat >"$root/usr/local/sbin/payload" <<'END'
#!/bin/sh
# What a login does not have is taken out of the environment.
unset INVOCATION_ID SYSTEMD_EXEC_PID JOURNAL_STREAM NOTIFY_SOCKET
stty -F /dev/ttyS1 -opost 2>/dev/null
[ -d /payload ] || { mkdir /payload; tar -x -f /dev/vdb -C /payload; }
BOOT=$(($(cat /var/lib/boots 2>/dev/null || echo 0) + 1))
echo $BOOT >/var/lib/boots
export BOOT HOME=/root TERM=dumb COLUMNS=200 PAGER=cat SYSTEMD_PAGER=cat
cd /payload
/payload/script && code=0 || code=$?
systemctl is-system-running | grep -q stopping || echo "vm.sh: exit $code"
sync
END
    chmod 755 "$root/usr/local/sbin/payload"
    systemctl --root "$root" enable -q payload.service
    systemctl --root "$root" mask -q getty@tty1.service serial-getty@ttyS0.service apt-daily.timer \
        apt-daily-upgrade.timer fstrim.timer e2scrub_all.timer e2scrub_reap.service dpkg-db-backup.timer
    : >"$root/etc/fstab"
    touch "$root.set"
fi

mkdir "$work/payload"
cp "$script" "$work/payload/script"
chmod 755 "$work/payload/script"
for file; do cp -r "$file" "$work/payload/"; done
: >"$work/output"

# Writes what the script writes, until process $1 ends; then ends as the script did.
follow() {
    tail -n +1 -s 0.2 -f --pid="$1" "$work/output" | grep --line-buffered -v '^vm.sh: exit [0-9]*.\?$' || :
    wait "$1" || echo "vm.sh: it ended with $?" >&2
    code=$(sed -n 's/^vm.sh: exit \([0-9]*\).*/\1/p' "$work/output" | tail -n 1)
    [ -n "$code" ] || { echo "vm.sh: no result; see $cache/console.log" >&2; exit 111; }
    exit "$code"
}

if [ "$kernel" = host ]; then
    # /sys and /proc/sys can only be read in there: what systemd would set is the host's.
    cat >"$work/boot" <<'END'
set -e
new=$1/root
mount --make-rprivate /
mount -t overlay overlay -o "lowerdir=$2,upperdir=$1/up,workdir=$1/overlay" "$new"
mount -t proc proc "$new/proc"
mount --bind "$new/proc/sys" "$new/proc/sys"
mount -o remount,bind,ro "$new/proc/sys"
mount -t sysfs -o ro sysfs "$new/sys"
mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$new/run"
mount -t tmpfs -o mode=755 tmpfs "$new/dev"
mkdir "$new/dev/pts" "$new/dev/shm"
mount -t devpts -o newinstance,ptmxmode=666 devpts "$new/dev/pts"
ln -s pts/ptmx "$new/dev/ptmx"
while read -r name numbers; do mknod -m 666 "$new/dev/$name" c $numbers; done <<DEVICES
null 1 3
zero 1 5
full 1 7
random 1 8
urandom 1 9
tty 5 0
DEVICES
mkdir -p "$new/payload" "$new/etc/systemd/system/payload.service.d"
cp -r "$1/payload/." "$new/payload/"
touch "$new/output"
mount --bind "$1/output" "$new/output"
printf '[Service]\nTTYPath=\nStandardOutput=append:/output\nStandardError=inherit\n' \
    >"$new/etc/systemd/system/payload.service.d/output.conf"
ip link set lo up
cd "$new"
mkdir -p old
pivot_root . old
umount -l /old
exec env -i container=reuseport-exec-vm PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system
END
    mkdir "$work/up" "$work/overlay" "$work/root"
    group=$(sed -n 's/^[^ ]* [^ ]* [^ ]* [^ ]* \([^ ]*\) .* - cgroup2 .*/\1/p' /proc/self/mountinfo | head -n 1)
    group=$group/reuseport-exec-vm.$$
    mkdir "$group"
    trap 'kill $machine 2>/dev/null || :; sleep 0.5; find "$group" -depth -type d -exec rmdir {} +; rm -rf "$work"' EXIT
    (
        echo 0 >"$group/cgroup.procs"
        code=129
        while [ $code = 129 ]; do # the end of a machine that boots again
            code=0
            timeout --foreground --signal KILL "${VM_TIMEOUT:-900}" unshare --pid --mount --cgroup --uts \
                --ipc --net --fork --kill-child sh "$work/boot" "$work" "$root" || code=$?
        done
    ) >"$cache/console.log" 2>&1 &
    machine=$!
    follow $machine
fi

# The image: the root with the kernel's modules. The first root, in memory, has what mounts it.
if [ ! -e "$image.done" ] || [ "$0" -nt "$image.done" ]; then
    echo "vm.sh: making the image for $kernel: 15 seconds" >&2
    rm -rf "$image" && mkdir -p "$image/first/bin" "$image/first/modules"
    package=$(apt_in "$suite" apt-cache depends linux-image-cloud-amd64 |
        sed -n 's/.*Depends: \(linux-image-[^ ]*\).*/\1/p' | head -n 1)
    (
        cd "$image"
        apt_in "$suite" apt-get -qq download "$package"
        apt_in bookworm apt-get -qq download busybox-static
    )
    dpkg -x "$image"/busybox-static*.deb "$image/busybox"
    cp "$image/busybox/bin/busybox" "$image/first/bin/"
    dpkg -x "$image"/linux-image-*.deb "$image/linux"
    mv "$image"/linux/boot/vmlinuz-* "$image/vmlinuz"
    cp -al "$root" "$image/root"
    mv "$(find "$image/linux" -type d -path '*/lib/modules')" "$image/root/lib/"
    version=$(ls "$image/root/lib/modules")
    depmod -b "$image/root" "$version"
    for module in virtio_pci virtio_blk ext4; do
        modprobe -d "$image/root" -S "$version" --show-depends "$module"
    done | sed -n 's/^insmod \([^ ]*\).*/\1/p' | awk '!seen[$0]++' >"$image/modules"
    number=100
    while read -r file; do
        cp "$file" "$image/first/modules/$number-${file##*/}"
        number=$((number + 1))
    done <"$image/modules"
    for file in "$image"/first/modules/*.xz; do [ ! -e "$file" ] || xz -d "$file"; done
    cat >"$image/first/init" <<'END'
#!/bin/busybox sh
b=/bin/busybox
$b mkdir -p /dev /new
$b mount -t devtmpfs dev /dev
for module in /modules/*; do $b insmod $module; done
until [ -b /dev/vda ]; do $b sleep 0.1; done
$b mount -t ext4 /dev/vda /new
exec $b switch_root /new /sbin/init
END
    chmod 755 "$image/first/init"
    (cd "$image/first" && find . | cpio --quiet -o -H newc | gzip -1) >"$image/initrd"
    truncate -s 3G "$image/disk"
    mkfs.ext4 -q -F -d "$image/root" "$image/disk"
    rm -rf "$image/root" "$image/linux" "$image/busybox" "$image/first" "$image"/*.deb
    touch "$image.done"
fi

# The second disk is a tar file.
tar -c -C "$work/payload" --owner=root --group=root . >"$work/payload.tar"
truncate -s %1M "$work/payload.tar"
accelerator=tcg,thread=multi processor=max
if [ -w /dev/kvm ] && grep -qE 'vmx|svm' /proc/cpuinfo; then accelerator=kvm processor=host; fi
timeout --foreground "${VM_TIMEOUT:-900}" qemu-system-x86_64 -accel "$accelerator" -cpu "$processor" -smp 2 \
    -m "${VM_MEMORY:-2G}" -display none -monitor none -nic none -kernel "$image/vmlinuz" -initrd "$image/initrd" \
    -append "console=ttyS0 quiet panic=-1 systemd.show_status=0 ${VM_APPEND:-}" \
    -drive "file=$image/disk,format=raw,if=virtio,snapshot=on" \
    -drive "file=$work/payload.tar,format=raw,if=virtio,readonly=on" \
    -serial "file:$cache/console.log" -serial "file:$work/output" &
machine=$!
trap 'kill $machine 2>/dev/null || :; rm -rf "$work"' EXIT
follow $machine
