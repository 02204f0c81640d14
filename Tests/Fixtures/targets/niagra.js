'use strict';
// niagra.js LABEL --fd NAME,NUMBER: a server as niagra starts them, which is told to stop by SIGUSR2 and by nothing else.
const http = require('http');
const [label, ...words] = process.argv.slice(2);
const server = http.createServer((request, response) => {
    setTimeout(() => response.end(`label: ${label}\npid: ${process.pid}\n`), 1);
});
process.on('SIGTERM', () => {});
process.once('SIGUSR2', () => server.close());
server.listen({ fd: Number(words[words.indexOf('--fd') + 1].split(',')[1]) });
