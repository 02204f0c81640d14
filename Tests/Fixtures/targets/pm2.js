'use strict';
// pm2.js LABEL: a program for pm2's wait_ready and shutdown_with_message, on the socket that systemd's way passes. It
// has no handler for signals.
const http = require('http');
const label = process.argv[2];

const server = http.createServer((request, response) => {
    setTimeout(() => response.end(`label: ${label}\npid: ${process.pid}\n`), 30);
});
process.on('message', (message) => {
    if (message === 'shutdown') server.close(() => process.disconnect());
});
server.listen({ fd: 3 }, () => process.send('ready'));
