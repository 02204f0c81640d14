<?php
header('Content-Type: text/plain');
// usleep returns early when the stop signal arrives.
$until = microtime(true) + ($_SERVER['REQUEST_URI'] === '/slow' ? 1 : 0);
while (microtime(true) < $until) {
    usleep(10000);
}
echo 'pid: ', getmypid(), "\n";
