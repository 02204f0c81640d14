// Fastify. As root, in this folder, for each new version:
//
//     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --ready http:http:/ -- node node-fastify.js
//
// Without a handoff, under a supervisor or by hand:
//
//     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- node node-fastify.js
//
// Tested with a stand-in for Fastify, which has listen({ fd }) and close() as Fastify 4 and 5 describe them.
'use strict';
const fastify = require('fastify')();

const sleep = (time) => new Promise((resolve) => setTimeout(resolve, time));
fastify.get('/slow', async () => {
    await sleep(1000);
    return `pid: ${process.pid}\n`;
});
fastify.get('*', async () => `pid: ${process.pid}\n`);

// The first socket is descriptor 3. Fastify passes options that it does not know to Node's server.listen().
fastify.listen({ fd: 3 });

// The stop signal: close() finishes requests in flight, then Node ends. Meanwhile Fastify answers 503 on connections
// that were kept alive, unless it is made with { return503OnClosing: false }.
process.once('SIGTERM', () => fastify.close());
