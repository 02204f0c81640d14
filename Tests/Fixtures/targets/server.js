'use strict';
// A Node server on an inherited descriptor: the number given as argument, or the first of LISTEN_FDS.
const http = require('http');

const fds = Number(process.env.LISTEN_FDS);
if (process.argv[2] === undefined && (process.env.LISTEN_PID !== String(process.pid) || !(fds > 0))) {
    throw new Error('no descriptors for this process');
}
const fd = process.argv[2] === undefined ? 3 : Number(process.argv[2]);
http.createServer((request, response) => {
    response.end(JSON.stringify({ server: 'node', pid: process.pid, uid: process.getuid(), path: request.url }));
}).listen({ fd });
