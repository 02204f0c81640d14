#!/bin/sh
# grace.sh SECONDS COMMAND...: passes TERM on after so many seconds, for a server that drops its requests on TERM. New
# connections go to the next generation by then, and the old server has time to answer. With Python's http.server,
# unchanged. As root, in this folder, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --pass adopt --ready http:http:/ \
#         -- ./grace.sh 3 python3 -m http.server 80
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data --pass adopt -- ./grace.sh 3 python3 -m http.server 80
#
# With --pass adopt it gets the launcher's socket when it binds. --stop-timeout (30 s) must be longer than the grace.
grace=$1
shift
# Run it in a session of its own, so that its children are stopped with it.
setsid "$@" &
server=$!
trap 'trap "" TERM; sleep "$grace"; kill -- "-$server"' TERM
wait "$server"
wait "$server"
