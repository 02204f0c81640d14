#!/bin/sh
# Runs a script under a systemd of its own: process 1 of namespaces, with this machine's programs, but an empty set of
# units and a network with nothing but lo. Nothing of what happens there is left: the root is an overlay in memory.
#
#     boot-systemd.sh FOLDER
#
# FOLDER/script is run by root; its output and exit code are those of this one. Only FOLDER is the machine's own.
set -e
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
if [ -z "$2" ]; then
    folder=$1
    # systemd takes the control group that it is started in as the root of all groups.
    group=$(sed -n 's/^[^ ]* [^ ]* [^ ]* [^ ]* \([^ ]*\) .* - cgroup2 .*/\1/p' /proc/self/mountinfo | head -n 1)
    [ -n "$group" ] || { echo 'cgroup2 is not mounted' >&2; exit 111; }
    group=$group/reuseport-exec-test.$$
    mkdir "$group" "$folder/new"
    code=0
    : >"$folder/output"
    (
        echo 0 >"$group/cgroup.procs"
        exec unshare --pid --mount --cgroup --uts --ipc --net --fork --kill-child sh "$0" "$folder" inside
    ) >"$folder/console" 2>&1 || code=$?
    cat "$folder/output"
    [ $code != 1 ] || cat "$folder/console" >&2
    tries=0
    until find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || [ $tries = 200 ]; do
        tries=$((tries + 1))
        sleep 0.02
    done
    exit $code
fi
folder=$1
mount --make-rprivate /
mount -t tmpfs tmpfs "$folder/new"
cd "$folder/new"
mkdir up work root
new=$PWD/root
mount -t overlay overlay -o "lowerdir=/,upperdir=$PWD/up,workdir=$PWD/work" "$new"
mkdir -p "$new$folder" "$new/old"
mount --bind "$folder" "$new$folder"
mount -t proc proc "$new/proc"
mount -t sysfs -o ro sysfs "$new/sys"
mount -t cgroup2 cgroup2 "$new/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$new/run"
mount --rbind /dev "$new/dev"
rm -rf "$new"/etc/systemd/system/* "$new"/lib/systemd/system/*.wants
: >"$new/etc/fstab"
cat >"$new/etc/systemd/system/script.service" <<END
[Unit]
DefaultDependencies=no
SuccessAction=exit-force
FailureAction=exit-force
[Service]
Type=oneshot
Environment=PATH=$PATH LANG=C.UTF-8
UnsetEnvironment=NOTIFY_SOCKET INVOCATION_ID SYSTEMD_EXEC_PID
WorkingDirectory=$folder
ExecStart=$folder/script
StandardOutput=file:$folder/output
StandardError=inherit
END
ip link set lo up
cd "$new"
pivot_root . old
umount -l /old
exec env -i container=test /lib/systemd/systemd --system --unit=script.service
