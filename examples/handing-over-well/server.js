'use strict';
// server.js [LABEL]: a Node server on the inherited descriptor 3 that hands over well; docs/handing-over-well.md says
// why each line is there.
//
// reuseport-exec deploy web --socket http:0.0.0.0:80 --user app -- node server.js
const http = require('http');
const net = require('net');

const label = process.argv[2];
const streams = new Set();
let stopping = false;

const server = http.createServer((request, response) => {
    if (stopping) response.setHeader('Connection', 'close');
    if (request.url === '/events') return stream(response);
    response.end(`label: ${label}\npid: ${process.pid}\n`);
});

// Answers that have no end of their own.
function stream(response) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(`data: label: ${label}\n\n`);
    streams.add(response);
    response.on('close', () => streams.delete(response));
}

// What has to be there before the first request: caches, the pool of connections to the database.
async function warmUp() {
    await new Promise((resolve) => setTimeout(resolve, Number(process.env.WARM_UP_MS || 0)));
}

// Nothing is accepted before this, so by --ready accept it is not ready before.
warmUp().then(() => server.listen({ fd: 3 }));

process.once('SIGTERM', () => {
    stopping = true;
    // The listener only: since Node 19, http's own close() also closes connections on which a request may be coming.
    net.Server.prototype.close.call(server);
    // Browsers ask again; not all of them in the same moment.
    for (const response of streams) setTimeout(() => response.end(), Math.random() * 2000);
    // What is not through by then never will be. Nothing waits for the timer itself.
    setTimeout(() => process.exit(1), 25000).unref();
});
