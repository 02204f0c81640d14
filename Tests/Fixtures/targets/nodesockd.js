'use strict';
// nodesockd.js LABEL [DELAY [PATH...]]: a program for nodesockd. Told to stop, it finishes what is in flight, waits for DELAY ms, and removes LISTEN_ON and other paths; {worker} in them is its number.
const fs = require('fs');
const http = require('http');
const [label, delay, ...others] = process.argv.slice(2);
const path = process.env.LISTEN_ON;
const worker = process.env.NODESOCKD_WORKER_ID;

const server = http.createServer((request, response) => {
    response.end(`label: ${label}\npid: ${process.pid}\nworker: ${worker}\non: ${path}\n`);
});
server.listen(path, () => process.send('online'));

function end() {
    for (const name of [path, ...others]) {
        try { fs.unlinkSync(name.replace('{worker}', worker)); } catch (error) { /* It has gone. */ }
    }
    process.exit();
}
process.on('message', (message) => {
    if (message === 'shutdown') server.close(() => setTimeout(end, Number(delay || 0)));
});
