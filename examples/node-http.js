// Node, plain http. As root, in this folder, for each new version:
//
//     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data -- node node-http.js
//
// Without a handoff, under a supervisor or by hand:
//
//     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- node node-http.js
//
// The first socket is descriptor 3, so Node needs no --pass. --ready http:http:/ waits for an answer, and not only
// until a connection is taken. Use --copies 4 to run four processes.
'use strict';
const http = require('http');

const server = http.createServer((request, response) => {
    // A slow request: ask for /slow, and deploy meanwhile.
    setTimeout(() => response.end(`pid: ${process.pid}\n`), request.url === '/slow' ? 1000 : 0);
});
server.listen({ fd: 3 });

// The stop signal: Node finishes requests in flight, and ends when nothing is left to do. Without this handler it drops
// them. Only Node 19 and newer close idle connections by themselves, so close them here.
process.once('SIGTERM', () => {
    server.close();
    server.closeIdleConnections();
});
