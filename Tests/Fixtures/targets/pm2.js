'use strict';
// pm2.js LABEL [MS [mortal]]: a program for pm2's wait_ready and shutdown_with_message, on the socket that systemd's way
// passes. It answers after so many milliseconds, 30 if nothing is said. TERM does nothing to it, unless it is mortal.
const http = require('http');
const [label, pause, mortal] = process.argv.slice(2);

const server = http.createServer((request, response) => {
    setTimeout(() => response.end(`label: ${label}\npid: ${process.pid}\n`), pause ?? 30);
});
if (!mortal) process.on('SIGTERM', () => {});
process.on('message', (message) => {
    if (message === 'shutdown') server.close(() => process.disconnect());
});
server.listen({ fd: 3 }, () => process.send('ready'));
