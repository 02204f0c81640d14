<?php
// PHP's own server for development, php -S. As root, in this folder, for each new version:
//
//     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --pass adopt --ready http:http:/ \
//         --env PHP_CLI_SERVER_WORKERS=8 -- ./grace.sh 3 php -S 0.0.0.0:80 server.php
//
// Without a handoff, under a supervisor or by hand:
//
//     reuseport-exec --socket http:0.0.0.0:80 --user www-data --pass adopt \
//         --env PHP_CLI_SERVER_WORKERS=8 -- ./grace.sh 3 php -S 0.0.0.0:80 server.php
//
// With --pass adopt it gets the launcher's socket when it binds. It drops its requests when it is told to stop,
// so grace.sh tells it 3 seconds later.
header('Content-Type: text/plain');
if ($_SERVER['REQUEST_URI'] === '/slow') {
    sleep(1);
}
echo 'pid: ', getmypid(), "\n";
