// A Node program that binds its port by itself, as most are written. As root, in this folder, for each new version:
//
//     reuseport-exec deploy web --socket 'http:*:80' --user www-data --pass adopt -- node node-listen.js
//
// Without a handoff, under a supervisor or by hand:
//
//     reuseport-exec --socket 'http:*:80' --user www-data --pass adopt -- node node-listen.js
//
// With --pass adopt it gets the launcher's socket when it binds. `*` means IPv4 and IPv6, as Node binds by
// default; quote it for the shell.
'use strict';
const http = require('http');

const server = http.createServer((request, response) => {
    setTimeout(() => response.end(`pid: ${process.pid}\n`), request.url === '/slow' ? 1000 : 0);
});
server.listen(80);

// The stop signal: Node finishes requests in flight, then ends.
process.once('SIGTERM', () => {
    server.close();
    server.closeIdleConnections();
});
