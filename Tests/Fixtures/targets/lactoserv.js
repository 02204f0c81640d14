'use strict';
// lactoserv.js LABEL: takes its socket and its key out of LACTOSERV_FDS, as a configuration of lactoserv does.
const fs = require('fs');
const http = require('http');

const fds = JSON.parse(process.env.LACTOSERV_FDS);
const number = (name) => Number(fds[name].match(/^\/dev\/fd\/(\d+)$/)[1]);
// By its path it would be opened anew, by another user.
const key = fs.readFileSync(number('key'), 'utf8');
const server = http.createServer((request, response) => {
    response.end(`label: ${process.argv[2]}\npid: ${process.pid}\nuid: ${process.getuid()}\nkey: ${key}\n`);
});
server.listen({ fd: number('http') });
process.once('SIGTERM', () => server.close());
