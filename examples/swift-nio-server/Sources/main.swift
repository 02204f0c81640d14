// SwiftNIO and Swift Service Lifecycle, with ReusePortKit's InheritedSockets and NotifySocket. As root, in this
// package, for each new version:
//
//     swift build -c release --static-swift-stdlib
//     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --ready notify \
//         -- .build/release/swift-nio-server
//
// Without a handoff, under a supervisor or by hand:
//
//     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- .build/release/swift-nio-server
//
// At SIGTERM the service group shuts down gracefully. The server closes its listener, finishes the requests in flight,
// and says `Connection: close` in each answer. A connection is closed when it has been idle for 5 seconds, as always.
import Glibc
import Logging
import NIOCore
import NIOHTTP1
import NIOPosix
import ReusePortKit
import ServiceLifecycle

typealias Connection = NIOAsyncChannel<HTTPServerRequestPart, HTTPServerResponsePart>

struct HTTPServer: Service {
    /// A socket that is bound and listens.
    let socket: CInt

    func run() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let (connections, accepted) = AsyncStream.makeStream(of: Connection.self)
        let listener = try await ServerBootstrap(group: group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.configureHTTPServerPipeline()
                    accepted.yield(try Connection(wrappingChannelSynchronously: channel))
                }
            }
            .withBoundSocket(socket).get()
        // SwiftNIO has made the queue of the socket shorter: 128 connections. The system's limit is better.
        listen(socket, CInt.max)
        try NotifySocket()?.tellReady()

        // Connections that were accepted before the listener closed are set up first by their event loops.
        listener.closeFuture.whenComplete { _ in
            let loops = group.makeIterator().map { $0.submit {} }
            EventLoopFuture.andAllComplete(loops, on: listener.eventLoop).whenComplete { _ in accepted.finish() }
        }
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { tasks in
                for await connection in connections { tasks.addTask { await answer(connection) } }
            }
        } onGracefulShutdown: {
            listener.close(promise: nil)
        }
    }
}

func answer(_ connection: Connection) async {
    func closeWhenIdle() -> Scheduled<Void> {
        connection.channel.eventLoop.scheduleTask(in: .seconds(5)) { connection.channel.close(promise: nil) }
    }
    // An error says that the client has gone.
    try? await connection.executeThenClose { requests, responses in
        var idle = closeWhenIdle()
        for try await case .head(let request) in requests {
            idle.cancel()
            if request.uri == "/slow" { try await Task.sleep(for: .seconds(1)) }
            let isLast = !request.isKeepAlive || Task.isShuttingDownGracefully
            let body = ByteBuffer(string: "pid: \(getpid())\n")
            var head = HTTPResponseHead(version: request.version, status: .ok)
            head.headers.add(name: "Content-Length", value: "\(body.readableBytes)")
            if isLast { head.headers.add(name: "Connection", value: "close") }
            try await responses.write(contentsOf: [.head(head), .body(.byteBuffer(body)), .end(nil)])
            if isLast { break }
            idle = closeWhenIdle()
        }
    }
}

var inherited = try InheritedSockets()
guard let http = inherited.take(named: "http") else { fatalError("there is no socket named http") }
let group = ServiceGroup(
    services: [HTTPServer(socket: http.take().release())], gracefulShutdownSignals: [.sigterm],
    logger: Logger(label: "swift-nio-server"))
try await group.run()
