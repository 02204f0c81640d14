// Hummingbird 2, with ReusePortKit's InheritedSockets and NotifySocket. As root, in this package, for each new version:
//
//     swift build -c release --static-swift-stdlib
//     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --ready notify \
//         -- .build/release/hummingbird-server
//
// Without a handoff, under a supervisor or by hand:
//
//     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- .build/release/hummingbird-server
//
// Hummingbird's own server can only bind by itself, so BoundServer.swift has one for a socket that is bound already. It
// takes all kinds of Hummingbird's child channels: HTTP/1, TLS, HTTP/2, WebSocket.
//
// At SIGTERM the service group shuts down gracefully. The server closes its listener, finishes the requests in flight,
// and says `Connection: close` in each answer. A connection is closed when it has been idle for 5 seconds, as always.
import Glibc
import Hummingbird
import HummingbirdCore
import Logging
import ReusePortKit
import ServiceLifecycle

var inherited = try InheritedSockets()
guard let http = inherited.take(named: "http") else { fatalError("there is no socket named http") }

let router = Router()
router.get { _, _ in "pid: \(getpid())\n" }
router.get("slow") { _, _ in
    try await Task.sleep(for: .seconds(1))
    return "pid: \(getpid())\n"
}

let logger = Logger(label: "hummingbird-server")
let responder = router.buildResponder()
let channel = HTTP1Channel(
    responder: { request, writer, channel in
        let context = BasicRequestContext(source: .init(channel: channel, logger: logger))
        var response = try await responder.respond(to: request, context: context)
        if Task.isShuttingDownGracefully { response.headers[.connection] = "close" }
        try await writer.write(response: response.head, body: response.body)
    }, configuration: .init(idleTimeout: .seconds(5)))
let server = BoundServer(
    socket: http.take().release(), logger: logger, channel: channel,
    onServerRunning: { try NotifySocket()?.tellReady() })
try await ServiceGroup(services: [server], gracefulShutdownSignals: [.sigterm], logger: logger).run()
