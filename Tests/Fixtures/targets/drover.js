'use strict';
// drover.js LABEL PORT [MORE...|again]: a worker as Drover has them: it needs to be a cluster's, tells its master of
// each change of its status, closes its server on "stop", and ends on "quit" and on nothing else. /slow?ms=N takes N
// milliseconds.
const cluster = require('cluster');
const http = require('http');
const [label, port, ...more] = process.argv.slice(2);
if (!cluster.isWorker) throw new Error('not a worker');

const tell = (status) => process.send({ event: 'status-changed', payload: status });
const server = http.createServer((request, response) => {
    const answer = () => response.end(`label: ${label}\npid: ${process.pid}\nworker: ${cluster.worker.id}\n`);
    const pause = request.url.split('?ms=')[1];
    if (pause) setTimeout(answer, Number(pause)); else answer();
});
process.on('SIGTERM', () => {});
process.on('SIGINT', () => {});
process.on('message', (message) => {
    if (message === 'stop') {
        tell(4);
        server.close(() => tell(5));
    } else if (message === 'quit') {
        tell(6);
        setTimeout(() => { tell(7); process.exit(0); }, 20);
    }
});
const listen = (where) => http.createServer().listen(where).on('error', (error) => console.log('refused', error.code));
const isAgain = more[0] === 'again';
if (!isAgain) more.forEach(listen);
// A number, a path, or fd:N.
const place = port.startsWith('fd:') ? { fd: Number(port.slice(3)) } : Number(port) || port;
const serves = () => { tell(2); tell(3); };
// Nobody answers what is asked after that.
server.listen(place, () => isAgain ? listen(place).on('error', serves) : serves());
