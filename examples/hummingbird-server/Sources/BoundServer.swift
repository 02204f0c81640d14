import Glibc
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle

/// Hummingbird's server for a socket that is bound already.
///
/// At a graceful shutdown it closes its listener, and returns when its connections are closed. They do not learn of it:
/// requests in flight are answered, and what answers them sees `Task.isShuttingDownGracefully`.
struct BoundServer<Channel: ServerChildChannel>: Service {
    let socket: CInt
    let logger: Logger
    /// Answers the requests of a connection.
    let channel: Channel
    let onServerRunning: @Sendable () async throws -> Void

    func run() async throws {
        let group = MultiThreadedEventLoopGroup.singleton
        let (connections, accepted) = AsyncStream.makeStream(of: Channel.Value.self)
        let listener = try await ServerBootstrap(group: group)
            .childChannelOption(.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel.setup(channel: $0, logger: logger).map { _ = accepted.yield($0) } }
            .withBoundSocket(socket).get()
        // SwiftNIO has made the queue of the socket shorter: 128 connections. The system's limit is better.
        listen(socket, CInt.max)
        try await onServerRunning()

        // Connections that were accepted before the listener closed are set up first by their event loops.
        listener.closeFuture.whenComplete { _ in
            let loops = group.makeIterator().map { $0.submit {} }
            EventLoopFuture.andAllComplete(loops, on: listener.eventLoop).whenComplete { _ in accepted.finish() }
        }
        await withGracefulShutdownHandler {
            await withDiscardingTaskGroup { tasks in
                for await connection in connections {
                    tasks.addTask { await channel.handle(value: connection, logger: logger) }
                }
            }
        } onGracefulShutdown: {
            listener.close(promise: nil)
        }
    }
}
