import CLinux
import ReusePortKit

/// The event loop: one thread, one epoll(7) set, all sockets non-blocking.
final class Server {
    private enum Phase {
        case booting
        case serving
        /// Told to stop: the listeners are closed, and requests in flight are finished.
        case finishing
    }

    /// How long the server waits, once told to stop, for requests of clients that are connected.
    private static let finishingTime: Int64 = 10_000_000

    private let settings: Settings
    private let portrait: Portrait
    private let listeners: [Listener]
    private let poll: Int32
    private let signals: Int32
    /// The connections, indexed by descriptor.
    private var connections: [Connection?] = []
    private var connectionCount = 0
    /// The connections whose answer is held back.
    private var waiting: [Connection] = []
    private var phase = Phase.booting
    private var wasToldToStop = false
    private var bootedAt: Int64
    private var crashAt: Int64?
    private var finishedAt: Int64?
    /// The number of bytes that /grow has requested.
    private var growth: Int?

    init?(settings: Settings, listeners: [Listener], inherited: [Int32]) {
        self.settings = settings
        self.listeners = listeners
        portrait = Portrait(label: settings.label, inherited: inherited)
        bootedAt = now() + settings.bootTime
        poll = epoll_create1(O_CLOEXEC)
        signals = signalDescriptor([SIGTERM, SIGINT])
        guard poll >= 0, signals >= 0, watch(signals) else {
            say("unable to wait for events: \(Errno(rawValue: clinux_errno()).description)")
            return nil
        }
    }

    /// Serves until told to stop; returns the exit code.
    func run() -> Int32 {
        let capacity = 256
        return withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: capacity) { events in
            while true {
                if let code = passTime() { return code }
                let count = epoll_wait(poll, events.baseAddress!, Int32(capacity), timeout())
                for index in 0..<max(0, Int(count)) {
                    take(events[index].data.fd, events[index].events)
                }
            }
        }
    }

    // MARK: - Time

    /// Does what is due; returns the exit code when the server is done.
    private func passTime() -> Int32? {
        let time = now()
        if phase == .booting, time >= bootedAt {
            if case .atBoot? = settings.crash { return 3 }
            startServing(time)
        }
        if let crashAt, time >= crashAt { return 3 }
        if !waiting.isEmpty {
            let due = waiting.filter { $0.dueAt! <= time }
            waiting.removeAll { $0.dueAt! <= time }
            for connection in due {
                connection.dueAt = nil
                finishAnswer(on: connection)
                proceed(connection)
            }
        }
        if let growth, connectionCount == 0 { grow(growth) }
        if phase == .finishing {
            if connectionCount == 0 { return 0 }
            if let finishedAt, time >= finishedAt { return 0 }
        }
        return nil
    }

    /// The milliseconds until something is due, -1 for never.
    private func timeout() -> Int32 {
        var next = Int64.max
        if phase == .booting { next = bootedAt }
        if let crashAt { next = min(next, crashAt) }
        if let finishedAt { next = min(next, finishedAt) }
        for connection in waiting { next = min(next, connection.dueAt!) }
        if next == .max { return -1 }
        return Int32(clamping: max(0, (next - now() + 999) / 1000))
    }

    /// Allocates memory and keeps it. Called when no client is connected, so that none is lost if the kernel kills this
    /// process for it.
    private func grow(_ size: Int) {
        growth = nil
        // mmap(2), because the compiler may remove a malloc(3) whose memory is never read.
        let memory = mmap(nil, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        if let memory, Int(bitPattern: memory) != -1 { memset(memory, 1, size) }
        if phase == .serving {
            for listener in listeners { _ = watch(listener.socket) }
        }
    }

    private func startServing(_ time: Int64) {
        phase = .serving
        var places = ByteString()
        for listener in listeners {
            // With `listen=no` the launcher leaves this to the program.
            if listener.kind == .bound { _ = listen(listener.socket, 4096) }
            if !watch(listener.socket) { say("unable to watch \(listener.name.printable)") }
            places.append("listening \(listener.name.printable) \(listener.address.description.printable)\n")
        }
        put("\(places)ready \(settings.label.printable) \(getpid())\n", on: 1)
        if case .afterReady(let delay)? = settings.crash { crashAt = time + delay }
        announceReadiness(settings)
    }

    // MARK: - Events

    private func take(_ descriptor: Int32, _ events: UInt32) {
        if descriptor == signals {
            while let signal = takeSignal(from: signals) { stop(signal) }
        } else if Int(descriptor) < connections.count, let connection = connections[Int(descriptor)] {
            take(connection, events)
        } else if let listener = listeners.first(where: { $0.socket == descriptor }), phase == .serving {
            if listener.kind == .datagram { echo(listener) } else { accept(listener) }
        }
    }

    private func stop(_ signal: Int32) {
        if signal == SIGTERM, settings.ignoresTerm { return }
        wasToldToStop = true
        if phase != .finishing, signal != SIGTERM || !settings.keepsListening {
            if phase == .serving {
                // Removed from epoll first, because closing would not do that while another process has the socket.
                for listener in listeners { unwatch(listener.socket) }
            }
            for listener in listeners { _ = close(listener.socket) }
            phase = .finishing
            finishedAt = now() + Server.finishingTime
        }
        for connection in connections {
            guard let connection, connection.isIdle else { continue }
            // Answers a request that has already arrived, and announces that the connection closes.
            guard connection.receive() else {
                drop(connection)
                continue
            }
            if connection.input.isEmpty { drop(connection) } else { proceed(connection) }
        }
    }

    private func accept(_ listener: Listener) {
        for _ in 0..<64 {
            let socket = accept4(
                listener.socket, nil, nil, Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue))
            guard socket >= 0 else { return }
            guard watch(socket) else {
                _ = close(socket)
                continue
            }
            while connections.count <= Int(socket) { connections.append(nil) }
            let connection = Connection(socket: socket, name: listener.name)
            connections[Int(socket)] = connection
            connectionCount += 1
            // Tries to read, because the request has often arrived already.
            take(connection, EPOLLIN.rawValue)
        }
    }

    private func echo(_ listener: Listener) {
        withUnsafeTemporaryAllocation(byteCount: 65536, alignment: 1) { buffer in
            for _ in 0..<64 {
                guard echoOne(listener, buffer) else { return }
            }
        }
    }

    /// Answers one datagram; false if there is none.
    private func echoOne(_ listener: Listener, _ buffer: UnsafeMutableRawBufferPointer) -> Bool {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return withUnsafeMutablePointer(to: &storage) { storage in
            storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { sender in
                let count = recvfrom(listener.socket, buffer.baseAddress!, buffer.count, 0, sender, &size)
                guard count >= 0 else { return false }
                let answer: ByteString = "\(settings.label): \(ByteString(Array(buffer[0..<count])))"
                _ = answer.bytes.withUnsafeBytes {
                    sendto(listener.socket, $0.baseAddress, $0.count, 0, sender, size)
                }
                return true
            }
        }
    }

    // MARK: - Connections

    private func take(_ connection: Connection, _ events: UInt32) {
        if connection.dueAt != nil {
            // Watches only for a broken connection while the answer is held back.
            if events & (EPOLLERR.rawValue | EPOLLHUP.rawValue) != 0 { drop(connection) }
            return
        }
        if events & EPOLLIN.rawValue != 0 {
            guard connection.receive() else { return drop(connection) }
        }
        proceed(connection)
    }

    /// Sends output and answers requests until the socket would block.
    private func proceed(_ connection: Connection) {
        while true {
            guard connection.send() else { return drop(connection) }
            if !connection.output.isEmpty { return want(EPOLLOUT.rawValue, connection) }
            if connection.isLast { return drop(connection) }
            switch Request.parse(connection.input) {
            case .complete(let request):
                connection.input.removeFirst(request.length)
                answer(request, on: connection)
                if connection.dueAt != nil { return want(0, connection) }
            case .malformed:
                connection.isLast = true
                connection.output = Answer(status: 400, body: "no request\n").encoded(isLast: true, isHead: false)
            case .incomplete:
                if connection.isHalfClosed { return drop(connection) }
                return want(EPOLLIN.rawValue, connection)
            }
        }
    }

    private func answer(_ request: Request, on connection: Connection) {
        connection.answering = request
        guard request.path == "/slow" else { return finishAnswer(on: connection) }
        connection.dueAt = now() + Int64(request.number("ms") ?? 1000) * 1000
        waiting.append(connection)
    }

    /// Makes the answer. Held-back ones are made when they are due, because the server may have been told to stop
    /// meanwhile.
    private func finishAnswer(on connection: Connection) {
        guard let request = connection.answering else { return }
        connection.answering = nil
        if request.wantsClose || wasToldToStop { connection.isLast = true }
        let answer: Answer
        let state: ByteString = wasToldToStop ? "told to stop" : "serving"
        let brief = portrait.brief(listener: connection.name, state: state)
        switch request.path {
        case "/": answer = Answer(status: 200, body: portrait.full(listener: connection.name, state: state))
        case "/brief", "/slow": answer = Answer(status: 200, body: brief)
        case "/grow":
            growth = Int(request.number("mb") ?? 0) << 20
            connection.isLast = true
            for listener in listeners { unwatch(listener.socket) }
            answer = Answer(status: 200, body: brief)
        case "/health": answer = Answer(status: settings.health, body: brief)
        default: answer = Answer(status: 404, body: "nothing here\n")
        }
        connection.served += 1
        connection.output = answer.encoded(isLast: connection.isLast, isHead: request.isHead)
    }

    private func drop(_ connection: Connection) {
        guard !connection.isClosed else { return }
        connection.isClosed = true
        if connection.dueAt != nil { waiting.removeAll { $0 === connection } }
        connections[Int(connection.socket)] = nil
        connectionCount -= 1
        _ = close(connection.socket)
    }

    // MARK: - epoll(7)

    private func watch(_ descriptor: Int32) -> Bool {
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        event.data.fd = descriptor
        return epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event) == 0
    }

    private func unwatch(_ descriptor: Int32) {
        var event = epoll_event()
        _ = epoll_ctl(poll, EPOLL_CTL_DEL, descriptor, &event)
    }

    private func want(_ events: UInt32, _ connection: Connection) {
        guard connection.interest != events else { return }
        connection.interest = events
        var event = epoll_event()
        event.events = events
        event.data.fd = connection.socket
        _ = epoll_ctl(poll, EPOLL_CTL_MOD, connection.socket, &event)
    }
}
