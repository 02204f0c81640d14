#!/bin/bash
# pictures.sh LAUNCHER SERVER CLIENT FOLDER: deploys the sample server several times in a tmux terminal of 80 columns,
# and makes pictures of the screen: FOLDER/deploy.svg, FOLDER/failed.svg and FOLDER/state.svg. Then pictures of what is
# seen on screens of 80x24 and 120x40, in colour and without: FOLDER/screens.
set -euo pipefail
launcher=$1 server=$2 client=$3 folder=$4
picture=$(dirname "$0")/picture.py
work=$(mktemp -d /tmp/reuseport-exec-pictures.XXXXXX)
chmod 755 "$work"
export TMUX_TMPDIR=$work LC_ALL=C.UTF-8
unset NO_COLOR TMUX
clean_up() {
    tmux -L pictures kill-server 2>/dev/null || true
    "$work/reuseport-exec" terminate web --run-dir "$work/run" >/dev/null 2>&1 || true
    rm -rf "$work"
}
trap clean_up EXIT
cp "$launcher" "$work/reuseport-exec"
cp "$server" "$work/sample-server"
cat >"$work/app" <<END
#!/bin/sh
[ ! -e $work/broken ] || { echo "app: /etc/app.conf: line 12: '}' is missing" >&2; exit 3; }
exec $work/sample-server
END
chmod 755 "$work/app"
cp "$client" "$work/load-generator"
address=127.0.0.1:8080
if "$work/load-generator" --get $address >/dev/null 2>&1; then
    echo "pictures: another server listens on $address: stop it first" >&2
    exit 1
fi
user=()
[ "$(id -u)" != 0 ] || user=(--user nobody)

# The commands that are shown are short; this function adds the folders that they need.
cat >"$work/shown" <<END
reuseport-exec() {
    local verb=\$1
    shift
    case \$verb in
        deploy) set -- --log "$work/web.log" ${user[*]} "\$@" ;;
    esac
    command "$work/reuseport-exec" "\$verb" --run-dir "$work/run" "\$@"
}
PATH=$work:\$PATH
show() {
    if [ -n "\${NO_COLOR:-}" ]; then printf '$ %s\n' "\$*"; else printf '\033[2m$\033[0m %s\n' "\$*"; fi
    eval "\$*"
    echo
}
deploy() { show "reuseport-exec deploy web --copies 3 --socket http:$address -- app"; }
END

# take FILE TITLE COMMANDS [COLUMNS ROWS]: runs the commands and makes a picture when they have ended.
take() {
    local columns=${4:-80} rows=${5:-40}
    printf '. %s/shown\nclear\n%s\ntouch %s/done\nsleep 1000\n' "$work" "$3" "$work" >"$work/commands"
    rm -f "$work/done"
    tmux -L pictures -f /dev/null new-session -d -x "$columns" -y "$rows" "bash $work/commands"
    local tries=0
    until [ -e "$work/done" ]; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { tmux -L pictures capture-pane -p; exit 1; }
        sleep 0.1
    done
    sleep 0.3
    tmux -L pictures capture-pane -e -p | sed "s|$work|/var/log/reuseport-exec|" >"$work/screen"
    "$picture" "$2" ${5:+"$4" "$5"} <"$work/screen" >"$folder/$1"
    tmux -L pictures kill-server
}

# screen NAME COMMANDS: pictures of one thing on all screens.
screen() {
    local size
    for size in 80x24 120x40; do
        take "screens/$1-$size.svg" "$1, $size" "$2" "${size%x*}" "${size#*x}"
        take "screens/$1-$size-plain.svg" "$1, $size, without colour" "export NO_COLOR=1
$2" "${size%x*}" "${size#*x}"
    done
}

mkdir -p "$folder/screens"
export SAMPLE_BOOT_MS=300
take deploy.svg 'reuseport-exec deploy' 'deploy >/dev/null 2>&1; clear; deploy'
touch "$work/broken"
take failed.svg 'reuseport-exec deploy, of a version that does not start' 'deploy'
rm "$work/broken"
"$work/load-generator" --get --path '/slow?ms=60000' --timeout 90s $address >/dev/null 2>&1 &
slow=$!
sleep 0.3
take state.svg 'reuseport-exec state' \
    'deploy >/dev/null 2>&1; clear; show reuseport-exec list; show reuseport-exec state web'
screen deploy deploy
screen list 'show reuseport-exec list; show reuseport-exec list --wide; show reuseport-exec list web'
screen state 'show reuseport-exec state web'
touch "$work/broken"
screen failed deploy
rm "$work/broken"
screen logs 'show reuseport-exec logs web -n 12'
screen history 'show reuseport-exec history web'
screen help 'show reuseport-exec --help'
kill $slow 2>/dev/null || true
