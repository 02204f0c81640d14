'use strict';
// web.js FD LABEL: a Node server on an inherited descriptor that answers as the sample server does, and closes its
// listener on SIGTERM.
const http = require('http');
const label = process.argv[3];

const server = http.createServer((request, response) => {
    response.end(`label: ${label}\npid: ${process.pid}\n`);
});
server.listen({ fd: Number(process.argv[2]) }, () => console.log('ready', label, process.pid));
// Once what is in flight is finished, nothing is left to run for.
process.once('SIGTERM', () => server.close());
