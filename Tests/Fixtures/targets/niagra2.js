'use strict';
// niagra2.js LABEL --fd NAME,TYPE,FD... [--env ENVIRONMENT]: a server written for niagra's last form, which accepts no
// more on SIGUSR2, and says in what environment it is.
const http = require('http');

const label = process.argv[2];
const environment = process.argv.indexOf('--env');
if (environment > 0) process.env.NODE_ENV = process.argv[environment + 1];
process.argv.forEach((word, index) => {
    if (word !== '--fd') return;
    const [, type, fd] = process.argv[index + 1].split(',');
    if (type !== 'insecure') throw new Error(`${type} is not known`);
    const server = http.createServer((request, response) => {
        response.end(`label: ${label}\npid: ${process.pid}\nenvironment: ${process.env.NODE_ENV}\n`);
    });
    server.listen({ fd: Number(fd) });
    process.on('SIGUSR2', () => server.close());
});
