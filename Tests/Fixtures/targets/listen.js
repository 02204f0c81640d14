'use strict';
// listen.js WHERE [LABEL]: a Node server that has never heard of inherited descriptors. WHERE is a port, HOST:PORT or a
// path.
const http = require('http');
const [where, label = 'node'] = process.argv.slice(2);
const [, host, port] = /^(?:(.*):)?(\d+)$/.exec(where) || [];

const server = http.createServer((request, response) => {
    response.end(`label: ${label}\npid: ${process.pid}\nuid: ${process.getuid()}\n`);
});
server.on('error', (error) => { console.log(error.code); process.exit(1); });
const listening = () => console.log('ready', label, process.pid, JSON.stringify(server.address()));
if (port) server.listen(Number(port), host, listening); else server.listen(where, listening);
process.once('SIGTERM', () => server.close());
