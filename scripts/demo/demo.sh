#!/bin/bash
# demo.sh LAUNCHER SERVER CLIENT: starts the server through the launcher on a free loopback port (root: as nobody),
# sends a request, and shows the process that answered. Then replaces the server several times under load, once by a
# version that fails, deploys four copies, scales, suspends and resumes them, and shows which generations answered and
# that no request was lost. At last it replaces a server that has no handler for its stop signal, without --drain and
# with it, and cleans up. Needs only a shell, coreutils and sed.
set -euo pipefail
launcher=$1 server=$2 client=$3
patience=30

fail() {
    echo "demo: $*" >&2
    exit 1
}
say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n%s\n' "$*"; }

work='' deployed=''
clean_up() {
    local running
    [ -z "$deployed" ] || "$work/reuseport-exec" terminate web "${run[@]}" 2>/dev/null || true
    running=$(jobs -pr)
    # shellcheck disable=SC2086 # They are numbers.
    [ -z "$running" ] || kill -KILL $running 2>/dev/null || true
    [ -z "$work" ] || rm -rf "$work"
}
trap clean_up EXIT

user=()
[ "$(id -u)" != 0 ] || user=(--user nobody)

# Copies the programs to a folder from which they can be started: nobody may have no access to the checkout (as below
# /root), and a folder for temporary files may be mounted noexec.
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

say 'The process: it has the pid of the launcher, because exec keeps that'
echo "  started as pid $pid, listens on $address"
while read -r name value; do
    case $name in
        Name: | Pid: | Uid: | Gid: | Groups: | CapEff: | NoNewPrivs:)
            printf '  %-12s %s\n' "$name" "${value//$'\t'/ }"
            ;;
    esac
done <"/proc/$pid/status"

say 'Its descriptors: 3 is the listener, the server opened those after it'
for link in "/proc/$pid/fd"/*; do printf '  %-3s %s\n' "${link##*/}" "$(readlink "$link")"; done | sort -n

say "GET http://$address/"
answer=$("$work/load-generator" --get "$address") || fail 'no answer'
while IFS= read -r line; do printf '  %s\n' "$line"; done <<<"$answer"

say '1000 requests, with a new connection for each'
load=$("$work/load-generator" --requests 1000 --connections 16 "$address") || fail "not all were answered: $load"
value() { sed -n "s/.*\"$1\": \\([0-9]*\\).*/\\1/p" <<<"$load"; }
echo "  $(value ok) answered, $(value lost) lost, median $(value p50_us) us, all by pid $pid"

say 'kill -TERM: it closes its listener, finishes its requests, and exits'
kill -TERM "$pid"
code=0
wait "$pid" || code=$?
started=$pid
exec 3<&-
echo "  exit code $code"

# Checks what was shown.
[ "$code" = 0 ] || fail "the server ended with exit code $code"
grep -qx "pid: $started" <<<"$answer" || fail 'another process answered'
! grep -qx 'uid: 0' <<<"$answer" || fail 'the server still runs as root'
grep -q "\"by_pid\": {\"$started\": 1000}" <<<"$load" || fail "not all were answered by pid $started: $load"
if "$work/load-generator" --get "$address" >/dev/null 2>&1; then fail "something still listens on $address"; fi

# The handoff. As root, an eBPF program with two banks selects the listener; as another user, the old listeners are
# drained first (cBPF).
run=(--run-dir "$work/run")
number=0 live=''

# start LABEL: starts a generation, which takes over when it is ready; sets $new to its pid.
start() {
    number=$((number + 1))
    "$work/reuseport-exec" --app web --generation "$1" "${run[@]}" --socket "http:$address" "${user[@]}" \
        -- "$work/sample-server" "$1" >"$work/output.$number" 2>"$work/log.$number" &
    new=$!
}
# wait_until WHAT COMMAND...
wait_until() {
    local tries=0
    until "${@:2}"; do
        tries=$((tries + 1))
        [ $tries -lt 3000 ] || fail "timed out waiting for $1"
        sleep 0.01
    done
}
# Shows the log of the latest generation's coordinator.
show_log() { while IFS= read -r line; do printf '  %s\n' "$line"; done <"$work/log.$number"; }

# replace LABEL: starts a generation, and waits until it has taken over and the one before has ended.
replace() {
    start "$1"
    "$work/reuseport-exec" wait web --pid "$new" "${run[@]}" || fail "$1 did not take over: $(cat "$work/log.$number")"
    if [ -n "$live" ]; then
        wait "$live" || fail "pid $live ended with exit code $?"
        wait_until 'the end of the handoff' grep -Eq 'has gone|and finishes' "$work/log.$number"
    fi
    live=$new
    show_log
}

say "reuseport-exec --app web --socket http:$address -- sample-server blue"
replace blue
say 'Load: 64 clients; each sends its next request, on a new connection, as soon as it has an answer'
"$work/load-generator" --until-file "$work/enough" --duration 120s --path /brief --record "$work/record" "$address" \
    >"$work/load" &
client_pid=$!
wait_until 'the first answers' test -s "$work/record"

for label in green yellow orange red; do
    say "The same command with $label, while blue and its successors serve"
    replace $label
done

say 'A version that crashes while it starts'
export SAMPLE_BOOT_MS=300 SAMPLE_CRASH=boot
start broken
unset SAMPLE_BOOT_MS SAMPLE_CRASH
code=0
reason=$("$work/reuseport-exec" wait web --pid "$new" "${run[@]}" 2>&1) || code=$?
wait "$new" && fail 'it did not crash'
show_log
echo "  reuseport-exec wait: exit code $code: $reason"
[ "$code" = 1 ] || fail "its failure has exit code $code"

say 'A version that works again'
replace violet

# deploy WORDS...: runs a verb and shows its output.
deploy() {
    deployed=yes
    "$work/reuseport-exec" "$1" "${run[@]}" "${@:2}" >"$work/said" 2>&1 || fail "$1 failed: $(cat "$work/said")"
    while IFS= read -r line; do printf '  %s\n' "$line"; done <"$work/said"
}
say "reuseport-exec deploy web --copies 4 --socket http:$address -- sample-server silver"
deploy deploy web --generation silver --copies 4 --log "$work/log.silver" --socket "http:$address" "${user[@]}" \
    -- "$work/sample-server" silver
wait "$live" || fail "pid $live ended with exit code $?"
say 'reuseport-exec scale web 2'
deploy scale web 2
say 'reuseport-exec suspend web: starts new copies that stand still and ends the old ones; then resume'
deploy suspend web
"$work/reuseport-exec" resume web "${run[@]}" || fail 'resume failed'

# A program that has no handler for its stop signal, as USR1 of this server.
# mute LABEL WORDS...: deploys it while a request is under way at the last one; sets $answered to yes or no.
mute() {
    "$work/load-generator" --get --path /slow "$address" >/dev/null 2>&1 &
    local slow=$!
    # It has been sent when somebody has it.
    wait_until 'the slow request' slow_is_taken
    deploy deploy web --generation "$1" --log "$work/log.$1" --socket "http:$address" "${user[@]}" \
        --stop-signal USR1 "${@:2}" -- "$work/sample-server" "$1"
    answered=yes
    wait "$slow" || answered=no
    echo "  a request that was under way: answered: $answered"
}
slow_is_taken() { "$work/reuseport-exec" state web "${run[@]}" | grep -Eq '[1-9][0-9]* connection'; }

touch "$work/enough"
wait "$client_pid" || fail "requests were lost: $(cat "$work/load")"
say 'A server without a handler for its stop signal, replaced while it works'
deploy deploy web --generation copper --log "$work/log.copper" --socket "http:$address" "${user[@]}" \
    --stop-signal USR1 -- "$work/sample-server" copper
mute bronze
[ $answered = no ] || fail 'it answered without --drain'
say 'The same with --drain 10s: it is told to stop when its connections have ended'
mute brass --drain 10s
[ $answered = yes ] || fail 'it did not answer with --drain'

say 'reuseport-exec state web'
"$work/reuseport-exec" state web "${run[@]}"

load=$(cat "$work/load")
say 'Requests by generation'
printf '  %-10s %8s\n' requests "$(value requests)" lost "$(value lost)"
labels=$(sed -n 's/.*"by_label": {\([^}]*\)}.*/\1/p' <<<"$load")
for label in blue green yellow orange red broken violet silver; do
    served=$(sed -n "s/.*\"$label\": \([0-9]*\).*/\1/p" <<<"$labels")
    printf '  %-10s %8s\n' "$label" "${served:-0}"
    if [ $label = broken ]; then [ -z "$served" ]; else [ -n "$served" ]; fi || fail "$label served ${served:-nothing}"
done
"$work/reuseport-exec" terminate web "${run[@]}"
deployed=''
say 'All checks passed.'
