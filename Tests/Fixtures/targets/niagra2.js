'use strict';
// niagra2.js LABEL --fd NAME,TYPE,FD...: a server written for niagra's second form, which accepts no more on SIGUSR2.
const http = require('http');

const label = process.argv[2];
process.argv.forEach((word, index) => {
    if (word !== '--fd') return;
    const [, type, fd] = process.argv[index + 1].split(',');
    if (type !== 'insecure') throw new Error(`${type} is not known`);
    const server = http.createServer((request, response) => {
        response.end(`label: ${label}\npid: ${process.pid}\n`);
    });
    server.listen({ fd: Number(fd) });
    process.on('SIGUSR2', () => server.close());
});
