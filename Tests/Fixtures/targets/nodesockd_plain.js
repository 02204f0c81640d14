'use strict';
// nodesockd_plain.js LABEL: an ordinary program for nodesockd. It serves on LISTEN_ON, keeps requests waiting while it is
// suspended, and ends on "shutdown" when what is in flight is finished.
const http = require('http');
const label = process.argv[2];

let resume = () => {};
const resumed = process.env.NODESOCKD_SUSPENDED === 'true' ? new Promise((done) => { resume = done; }) : null;
const server = http.createServer(async (request, response) => {
    await resumed;
    response.end(`label: ${label}\npid: ${process.pid}\nworker: ${process.env.NODESOCKD_WORKER_ID}\n`);
});
process.on('message', (message) => {
    if (message === 'resume') resume();
    if (message === 'shutdown') server.close(() => process.exit());
});
server.listen(process.env.LISTEN_ON, () => process.send('online'));
