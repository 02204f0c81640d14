'use strict';
// jobs.js NAME: work that only one process may do at a time, though two generations run side by side.
const net = require('net');

// The lock is a name on which only one process can listen. The kernel releases it when that process ends in any way.
function whenAlone(name, begin) {
    const lock = net.createServer();
    lock.on('error', () => setTimeout(whenAlone, 200, name, begin));
    lock.listen(`\0${name}`, () => begin(() => lock.close()));
}

whenAlone(process.argv[2], (release) => {
    let stopping = false;
    process.once('SIGTERM', () => { stopping = true; });
    (function next() {
        if (stopping) return release();
        console.log('begin', process.pid);
        setTimeout(() => {
            console.log('end', process.pid);
            setTimeout(next, 10);
        }, 20);
    })();
});
