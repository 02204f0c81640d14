// Node, plain http. As root, in this folder; again, for each new version:
//
//     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data -- node node-http.js
//
// Without a handoff, under a supervisor or by hand:
//
//     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- node node-http.js
//
// The first socket is descriptor 3, so Node needs no --pass. --ready http:http:/ waits for an answer and not only for
// the connection to be taken. --copies 4 is one process for each of four processors.
'use strict';
const http = require('http');

const server = http.createServer((request, response) => {
    // Something that takes long: ask for /slow, and deploy meanwhile.
    setTimeout(() => response.end(`pid: ${process.pid}\n`), request.url === '/slow' ? 1000 : 0);
});
server.listen({ fd: 3 });

// The stop signal. Requests in flight are finished, then nothing is left to do and Node ends; without this line Node
// drops them. Connections that are open without a request are closed by Node 19 or newer only, so say it.
process.once('SIGTERM', () => {
    server.close();
    server.closeIdleConnections();
});
