#!/bin/bash
# pictures.sh LAUNCHER SERVER CLIENT FOLDER: deploys the sample server several times in a tmux terminal of 80 columns,
# and makes pictures of the screen: FOLDER/deploy.svg, FOLDER/failed.svg and FOLDER/state.svg.
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
show() { printf '\033[2m$\033[0m %s\n' "\$*"; eval "\$*"; echo; }
deploy() { show "reuseport-exec deploy web --copies 3 --socket http:$address -- app"; }
END

# take FILE TITLE COMMANDS: runs the commands and makes a picture when they have ended.
take() {
    printf '. %s/shown\nclear\n%s\ntouch %s/done\nsleep 1000\n' "$work" "$3" "$work" >"$work/commands"
    rm -f "$work/done"
    tmux -L pictures -f /dev/null new-session -d -x 80 -y 40 "bash $work/commands"
    local tries=0
    until [ -e "$work/done" ]; do
        tries=$((tries + 1))
        [ $tries -lt 600 ] || { tmux -L pictures capture-pane -p; exit 1; }
        sleep 0.1
    done
    sleep 0.3
    tmux -L pictures capture-pane -e -p | sed "s|$work|/var/log/reuseport-exec|" >"$work/screen"
    "$picture" "$2" <"$work/screen" >"$folder/$1"
    tmux -L pictures kill-server
}

mkdir -p "$folder"
export SAMPLE_BOOT_MS=300
take deploy.svg 'reuseport-exec deploy' 'deploy >/dev/null 2>&1; clear; deploy'
touch "$work/broken"
take failed.svg 'reuseport-exec deploy, of a version that does not start' 'deploy'
rm "$work/broken"
"$work/load-generator" --get --path '/slow?ms=20000' --timeout 60s $address >/dev/null 2>&1 &
slow=$!
sleep 0.3
take state.svg 'reuseport-exec state' \
    'deploy >/dev/null 2>&1; clear; show reuseport-exec list; show reuseport-exec state web'
kill $slow
