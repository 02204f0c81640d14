#!/bin/bash
# demo.sh LAUNCHER SERVER CLIENT: starts the server through the launcher on a free loopback port, as nobody when run by
# root, asks it something, shows who answered, and cleans up. Needs nothing but a shell and coreutils.
set -euo pipefail
launcher=$1 server=$2 client=$3
patience=30

fail() {
    echo "demo: $*" >&2
    exit 1
}
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

pid='' work=''
clean_up() {
    [ -z "$pid" ] || kill -KILL "$pid" 2>/dev/null || true
    [ -z "$work" ] || rm -rf "$work"
}
trap clean_up EXIT

user=()
[ "$(id -u)" != 0 ] || user=(--user nobody)

# The checkout may be where nobody may look, under /root for one; and a folder for temporary files may allow no
# programs. So copies are made where they can be seen to start.
for folder in "${TMPDIR:-/tmp}" /tmp /var/tmp /run "$PWD/.build"; do
    work=$(mktemp -d "$folder/reuseport-exec-demo.XXXXXX" 2>/dev/null) || continue
    chmod 755 "$work"
    cp "$launcher" "$work/reuseport-exec"
    cp "$server" "$work/sample-server"
    cp "$client" "$work/load-generator"
    if "$work/reuseport-exec" "${user[@]}" -- "$work/load-generator" --help >/dev/null 2>"$work/error"; then break; fi
    problem=$(cat "$work/error")
    rm -rf "$work"
    work=
done
[ -n "$work" ] || fail "unable to start a program: ${problem:-no folder for temporary files}"

say "reuseport-exec --socket http:127.0.0.1:0 ${user[*]} -- sample-server blue"
mkfifo "$work/output"
"$work/reuseport-exec" --socket http:127.0.0.1:0 "${user[@]}" -- "$work/sample-server" blue >"$work/output" &
pid=$!
address=
exec 3<"$work/output"
while IFS= read -r -t $patience line <&3; do
    case $line in
        'listening http '*) address=${line##* } ;;
        ready*) break ;;
    esac
done
[ -n "$address" ] || fail 'the server did not start'

say 'The process: the pid is the one that was started, for exec keeps it'
echo "  started as pid $pid, listens on $address"
while read -r name value; do
    case $name in
        Name: | Pid: | Uid: | Gid: | Groups: | CapEff: | NoNewPrivs:)
            printf '  %-12s %s\n' "$name" "${value//$'\t'/ }"
            ;;
    esac
done <"/proc/$pid/status"

say 'Its descriptors: 3 is the listener; those behind it are its own'
for link in "/proc/$pid/fd"/*; do printf '  %-3s %s\n' "${link##*/}" "$(readlink "$link")"; done | sort -n

say "GET http://$address/"
answer=$("$work/load-generator" --get "$address") || fail 'no answer'
while IFS= read -r line; do printf '  %s\n' "$line"; done <<<"$answer"

say '1000 requests, a new connection for each'
load=$("$work/load-generator" --requests 1000 --connections 16 "$address") || fail "not all were answered: $load"
value() { sed -n "s/.*\"$1\": \\([0-9]*\\).*/\\1/p" <<<"$load"; }
echo "  $(value ok) answered, $(value lost) lost, median $(value p50_us) us, all by pid $pid"

say 'kill -TERM: it closes its listener, finishes what is in flight, and is gone'
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
started=$pid
pid=
echo "  exit code $code"

# What was shown is what it should be.
[ "$code" = 0 ] || fail "the server ended with exit code $code"
grep -qx "pid: $started" <<<"$answer" || fail 'another process answered'
! grep -qx 'uid: 0' <<<"$answer" || fail 'the server still was root'
grep -q "\"by_pid\": {\"$started\": 1000}" <<<"$load" || fail "not all were answered by pid $started: $load"
if "$work/load-generator" --get "$address" >/dev/null 2>&1; then fail "something still listens on $address"; fi
say 'All as it should be.'
