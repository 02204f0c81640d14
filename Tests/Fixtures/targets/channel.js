'use strict';
// A Node server on the Unix socket of LISTEN_ON's descriptor that talks over its IPC channel.
const http = require('http');

let disconnected = 0;
process.on('disconnect', () => { disconnected++; });
// Reading keeps the channel busy: were the other end closed, it would be noticed.
process.on('message', () => {});
http.createServer((request, response) => {
    process.send({ event: 'request', path: request.url }, (error) => {
        response.end(JSON.stringify({
            sent: error === null, connected: process.connected, disconnected, on: process.env.LISTEN_ON,
        }));
    });
}).listen({ fd: Number(process.argv[2]) });
