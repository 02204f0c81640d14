'use strict';
// probing.js WHERE [LABEL]: a Node server that first listens to see whether it could, closes, and listens again. WHERE
// is a port, HOST:PORT or a path.
const http = require('http');
const net = require('net');
const [where, label = 'node'] = process.argv.slice(2);
const [, host, port] = /^(?:(.*):)?(\d+)$/.exec(where) || [];
const listen = (server, then) => {
    server.on('error', (error) => { console.log(error.code); process.exit(1); });
    if (port) server.listen(Number(port), host, then); else server.listen(where, then);
};

const probe = net.createServer();
listen(probe, () => probe.close(() => {
    const server = http.createServer((request, response) => {
        response.end(`label: ${label}\npid: ${process.pid}\nuid: ${process.getuid()}\n`);
    });
    process.once('SIGTERM', () => server.close());
    listen(server, () => console.log('ready', label, process.pid));
}));
