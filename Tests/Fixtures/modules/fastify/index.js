'use strict';
// A stand-in for Fastify: get(), listen({ fd }) and close() with the same meaning, and nothing else.
const http = require('http');

module.exports = () => {
    const routes = new Map();
    const server = http.createServer(async (request, response) => {
        const handler = routes.get(request.url) || routes.get('*');
        response.end(await handler(request));
    });
    return {
        get: (path, handler) => routes.set(path, handler),
        listen: (options) => new Promise((resolve, reject) => server.once('error', reject).listen(options, resolve)),
        close: () => new Promise((resolve) => {
            server.close(resolve);
            server.closeIdleConnections();
        }),
    };
};
