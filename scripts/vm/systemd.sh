#!/bin/sh
# What only systemd as process 1, control groups of version 2 and a boot can show. For vm.sh, which runs it by root; see
# test.sh. In /payload are usr, what make install installs; web, the server of examples/listen-fds.c; and web@.service.
#
# Ends with the number of checks that have failed.
# shellcheck disable=SC2317 # check calls functions by their names.
failed=0
check() { # check NAME COMMAND [ARGUMENT ...]
    name=$1
    shift
    if "$@" >/tmp/out 2>&1; then
        echo "ok      $name"
    else
        failed=$((failed + 1))
        echo "FAILED  $name"
        cat /tmp/out
    fi
}
is() { [ "$(systemctl show --value -p ActiveState "$1")" = "$2" ] || { systemctl status --no-pager "$1"; false; }; }
serves() { [ "$(reuseport-exec count "$1")" = "$2" ] || { reuseport-exec state "$1"; false; }; }
soon() {
    for _ in $(seq 100); do
        if "$@"; then return 0; fi
        sleep 0.2
    done >/dev/null 2>&1
    "$@"
}
not() { ! "$@"; }
# Clients, one after the other. Each line of /tmp/lost is one that got no answer.
clients() {
    while [ ! -e /tmp/stop ]; do
        curl -sf --max-time 10 "localhost:$1" >/dev/null || echo lost
    done >/tmp/lost
}
stop_clients() {
    touch /tmp/stop
    wait
    rm /tmp/stop
}

if [ "$BOOT" = 2 ]; then
    check 'after a boot: what was enabled is deployed' soon serves plain 2
    check 'after a boot: it answers' curl -sf localhost:81
    check 'after a boot: it runs as before' [ "$(ps -o user= -C web | sort -u)" = app ]
    check 'terminate' reuseport-exec terminate plain
    exit $failed
fi

cp -r usr/. /usr/local/
echo "Linux $(uname -r), $(cat /proc/1/comm) $(systemctl --version | sed -n '1s/^systemd \([0-9]*\).*/\1/p')," \
    "$(stat -fc %T /sys/fs/cgroup)"

# Copies that nobody supervises.
check 'deploy' reuseport-exec deploy plain --copies 2 --socket http:0.0.0.0:81 --user app -- /payload/web
level=cbpf
[ "$(printf '%s\n' 5.14 "$(uname -r)" | sort -V | head -n 1)" = 5.14 ] && level=ebpf
check "it is steered by $level" grep -q "steering $level" <<STATE
$(reuseport-exec state plain)
STATE
clients 81 &
check 'migrate' reuseport-exec migrate plain
check 'rollback' reuseport-exec rollback plain
check 'a version that fails' not reuseport-exec migrate plain -- /bin/false
check 'restart' reuseport-exec restart plain
stop_clients
check 'nothing is lost' [ ! -s /tmp/lost ]
check 'systemctl daemon-reexec' systemctl daemon-reexec
check 'copies outlive it' serves plain 2
# Copies that systemd supervises.
check 'deploy --on systemd' reuseport-exec deploy web --on systemd --copies 2 --socket http:0.0.0.0:80 --user app \
    --memory-max 40M -- /payload/web
limit=/sys/fs/cgroup/system.slice/reuseport-exec-web-1-0.service/memory.max
if grep -q memory /sys/fs/cgroup/cgroup.controllers; then check 'the limit is set' grep -qx 41943040 $limit; fi
clients 80 &
check 'again' reuseport-exec migrate web
check 'the old units have gone' soon not systemctl cat reuseport-exec-web-1-0.service
check 'one that fails' not reuseport-exec deploy web -- /bin/false
check 'two copies serve' serves web 2
kill -SEGV "$(systemctl show --value -p MainPID reuseport-exec-web-2-0.service)"
check 'one has crashed' soon serves web 1
check 'it is started again' soon serves web 2
stop_clients
check 'nothing is lost' [ ! -s /tmp/lost ]
check 'retire' reuseport-exec retire web
check 'no unit is left' soon not ls /run/systemd/system/reuseport-exec-web-2-0.service

# The unit for blue and green.
mkdir -p /srv/web-blue /srv/web-green
cp web /srv/web-blue/server
cp web /srv/web-green/server
cp web@.service /etc/systemd/system/
systemctl daemon-reload
check 'systemctl start web@blue' systemctl start web@blue
check 'systemctl start web@green' systemctl start web@green
check 'green is live when it returns' reuseport-exec check web --generation green
check 'blue goes down' soon is web@blue inactive
check 'and is not started again' [ "$(systemctl show --value -p NRestarts web@blue)" = 0 ]
printf '#!/bin/sh\nexit 3\n' >/srv/web-blue/server.new
chmod 755 /srv/web-blue/server.new
mv /srv/web-blue/server.new /srv/web-blue/server
check 'a blue that fails says so' not systemctl start web@blue
check 'green serves on' reuseport-exec check web --generation green

check 'enable' reuseport-exec enable plain
cp /usr/local/lib/systemd/system/reuseport-exec-boot.service /etc/systemd/system/
check 'systemctl enable reuseport-exec-boot' systemctl enable -q reuseport-exec-boot
# A machine that does not come back has failed.
[ $failed = 0 ] || exit $failed
systemctl reboot
