'use strict';
// unix_self.js PATH LABEL: a server that removes and binds a path by itself, as it is done without help.
const fs = require('fs');
const http = require('http');
const [path, label] = process.argv.slice(2);

const server = http.createServer((request, response) => response.end(`label: ${label}\npid: ${process.pid}\n`));
try { fs.unlinkSync(path); } catch (error) { /* There is none. */ }
server.listen(path, () => {
    fs.chmodSync(path, 0o666);
    console.log('ready', label, process.pid);
});
process.once('SIGTERM', () => server.close());
