'use strict';
// nodesockd_plain.js LABEL: an ordinary program for nodesockd. It serves on LISTEN_ON, keeps requests waiting while it is
// suspended, and ends on "shutdown" when what is in flight is finished. It listens on ports of its own, too: always on
// one, and asked for /late on one more.
const http = require('http');
const label = process.argv[2];

let resume = () => {};
const resumed = process.env.NODESOCKD_SUSPENDED === 'true' ? new Promise((done) => { resume = done; }) : null;
const metrics = http.createServer((request, response) => response.end());
const server = http.createServer(async (request, response) => {
    await resumed;
    if (request.url === '/late') {
        const late = http.createServer();
        late.listen(0, '127.0.0.1', () => {
            response.end(`pid: ${process.pid}\nports: ${metrics.address().port} ${late.address().port}\n`);
            late.close();
        });
        return;
    }
    response.end(`label: ${label}\npid: ${process.pid}\nworker: ${process.env.NODESOCKD_WORKER_ID}\n`);
});
process.on('message', (message) => {
    if (message === 'resume') resume();
    if (message === 'shutdown') server.close(() => process.exit());
});
metrics.listen(0, () => server.listen(process.env.LISTEN_ON, () => process.send('online')));
