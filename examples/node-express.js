// Express. As root, in this folder, for each new version:
//
//     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --ready http:http:/ -- node node-express.js
//
// Without a handoff, under a supervisor or by hand:
//
//     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- node node-express.js
//
// With Debian's node-express and a Node that is not Debian's, add --env NODE_PATH=/usr/share/nodejs.
'use strict';
const express = require('express');

const app = express();
app.get('/slow', (request, response) => setTimeout(() => response.type('text').send(`pid: ${process.pid}\n`), 1000));
app.use((request, response) => response.type('text').send(`pid: ${process.pid}\n`));

// app.listen(80) becomes this: the first socket is descriptor 3.
const server = app.listen({ fd: 3 });

// The stop signal: Node finishes requests in flight, then ends.
process.once('SIGTERM', () => {
    server.close();
    server.closeIdleConnections();
});
