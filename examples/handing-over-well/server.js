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

// Event streams: answers that end only when the server ends them.
function stream(response) {
    response.writeHead(200, { 'Content-Type': 'text/event-stream' });
    response.write(`data: label: ${label}\n\n`);
    streams.add(response);
    response.on('close', () => streams.delete(response));
}

// Prepare what the first request needs: caches, the pool of connections to the database.
async function warmUp() {
    await new Promise((resolve) => setTimeout(resolve, Number(process.env.WARM_UP_MS || 0)));
}

// Listen last: with --ready accept the copy is ready as soon as it accepts a connection.
warmUp().then(() => server.listen({ fd: 3 }));

process.once('SIGTERM', () => {
    stopping = true;
    // Close only the listener: since Node 19, http's close() also closes connections on which a request may be coming.
    net.Server.prototype.close.call(server);
    // Browsers connect again, so spread the ends over two seconds.
    for (const response of streams) setTimeout(() => response.end(), Math.random() * 2000);
    // Give up requests that still hang after 25 s. unref() lets the process end before that.
    setTimeout(() => process.exit(1), 25000).unref();
});
