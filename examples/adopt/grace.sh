#!/bin/sh
# For a server that drops what it is at when it is told to stop: `grace.sh SECONDS COMMAND...` tells it later. By then
# no connection has been new for that long: those go to the next generation. Python's http.server, as it is; as root,
# in this folder; again, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --pass adopt --ready http:http:/ \
#         -- ./grace.sh 3 python3 -m http.server 80
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data --pass adopt -- ./grace.sh 3 python3 -m http.server 80
#
# With --pass adopt what it binds is the launcher's socket. --stop-timeout (30 s) must be longer than the grace.
grace=$1
shift
# A session of its own, so that it ends with all that it has started.
setsid "$@" &
server=$!
trap 'trap "" TERM; sleep "$grace"; kill -- "-$server"' TERM
wait "$server"
wait "$server"
