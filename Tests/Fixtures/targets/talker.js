'use strict';
// talker.js [PIECE...]: serves on descriptor 3, and writes each piece into its Node channel, at descriptor 4, in a
// message of its own. /flood sends 100000 messages, /big one of 300000 bytes, /close closes the far end, /replace puts a
// file at its number, /socket another socket, /away leaves it to a child. Signals and messages are answered at the next request.
const fs = require('fs');
const http = require('http');
const net = require('net');
const { spawn } = require('child_process');
const seen = { disconnects: 0, errors: 0, sent: 0, messages: [] };

process.on('disconnect', () => seen.disconnects++);
process.on('error', () => seen.errors++);
process.on('message', (message) => { seen.messages.push(message); });
process.on('SIGTERM', () => process.exit(7));
const note = (error) => { if (error) seen.errors++; else seen.sent++; };
const far = 5;

async function flood() {
    for (let i = 0; i < 100; i++) {
        for (let j = 0; j < 1000; j++) process.send({ number: i * 1000 + j, padding: 'x'.repeat(200) }, note);
        await new Promise(setImmediate);
    }
    await new Promise((done) => process.send('last', done));
}

const actions = {
    '/flood': flood,
    '/big': () => new Promise((done) => process.send('x'.repeat(300000), (error) => { note(error); done(); })),
    '/close': () => fs.closeSync(far),
    '/replace': () => { fs.closeSync(far); seen.number = fs.openSync('/dev/null'); },
    '/socket': () => { fs.closeSync(far); seen.number = net.createServer().listen({ port: 0, exclusive: true })._handle.fd; },
    // Somebody else keeps it open.
    '/away': () => {
        spawn('sleep', ['1000'], { stdio: ['ignore', 'ignore', 'ignore', far] });
        fs.closeSync(far);
    },
};
http.createServer(async (request, response) => {
    await (actions[request.url] || (() => {}))();
    response.end(JSON.stringify({ pid: process.pid, rss: process.memoryUsage().rss, ...seen }));
}).listen({ fd: 3 }, () => {
    for (const piece of process.argv.slice(2)) {
        fs.writeSync(4, piece === 'huge' ? '"'.repeat(200000) : piece.replace(/\\n/g, '\n'));
    }
});
