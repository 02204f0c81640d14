'use strict';
// pm2.js LABEL [MS]: a program for pm2's wait_ready and shutdown_with_message, on the socket that systemd's way passes.
// It answers after so many milliseconds, 30 if nothing is said, and has no handler for signals.
const http = require('http');
const [label, pause] = process.argv.slice(2);

const server = http.createServer((request, response) => {
    setTimeout(() => response.end(`label: ${label}\npid: ${process.pid}\n`), pause ?? 30);
});
process.on('message', (message) => {
    if (message === 'shutdown') server.close(() => process.disconnect());
});
server.listen({ fd: 3 }, () => process.send('ready'));
