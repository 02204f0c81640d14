import CLinux
import ReusePortKit

/// The closed loop, in one thread with one epoll(7) set. Each client sends its next request when it has an answer.
final class Load {
    private static let signalToken = UInt64.max
    /// The microseconds that a client waits after a failed request, so that an address where nobody listens does not
    /// get a million attempts.
    private static let pause: Int64 = 1000

    let tally: Tally
    /// The body of the latest complete answer.
    private(set) var lastBody = ByteString()

    private let options: Options
    private let poll: Int32
    private let signals: Int32
    private var clients: [Client] = []
    private var active = 0
    private var pausing = 0
    private var started = 0
    private var isStopping = false
    private let endAt: Int64?
    private let keptRequest: ByteString
    private let lastRequest: ByteString
    private var buffer = [UInt8](repeating: 0, count: 65536)

    init?(_ options: Options) {
        self.options = options
        var record: Int32?
        if let path = options.record {
            let flags = O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC
            let descriptor = path.withCString { clinux_open($0, flags, 0o644) }
            guard descriptor >= 0 else {
                put("load-generator: fatal: unable to write \(path.printable)\n", on: 2)
                return nil
            }
            record = descriptor
        }
        tally = Tally(record: record)
        poll = epoll_create1(O_CLOEXEC)
        signals = signalDescriptor([SIGTERM, SIGINT])
        endAt = options.duration.map { now() + $0 }
        let head: ByteString = "GET \(options.path) HTTP/1.1\r\nHost: localhost\r\n"
        keptRequest = "\(head)\r\n"
        lastRequest = "\(head)Connection: close\r\n\r\n"
        guard poll >= 0, signals >= 0, watch(signals, EPOLLIN.rawValue, Load.signalToken) else {
            put("load-generator: fatal: unable to wait for events\n", on: 2)
            return nil
        }
    }

    func run() {
        for index in 0..<options.connections { clients.append(Client(index: index)) }
        for client in clients {
            active += 1
            begin(client)
        }
        var lookAt = now()
        let capacity = 256
        withUnsafeTemporaryAllocation(of: epoll_event.self, capacity: capacity) { events in
            while active > 0 {
                let count = epoll_wait(poll, events.baseAddress!, Int32(capacity), pausing > 0 ? 1 : 20)
                for index in 0..<max(0, Int(count)) { take(events[index].data.u64) }
                let time = now()
                if pausing > 0 { wake(time) }
                if time >= lookAt {
                    lookAt = time + 20_000
                    look(time)
                }
            }
        }
        tally.flush()
    }

    // MARK: - Time

    private func wake(_ time: Int64) {
        for client in clients where client.phase == .pausing && client.wakeAt <= time {
            pausing -= 1
            if client.startedAt == 0 { begin(client) } else { connect(client) }
        }
    }

    /// Checks every 20 ms for the end, and for requests that take too long.
    private func look(_ time: Int64) {
        // Lets readers of the record see new lines soon.
        tally.flush()
        if let endAt, time >= endAt { isStopping = true }
        if let path = options.untilFile, path.withCString({ access($0, F_OK) }) == 0 { isStopping = true }
        for client in clients where client.startedAt > 0 && client.deadline <= time {
            if client.phase == .pausing { pausing -= 1 }
            lose(client, .timedOut, "no answer in time")
        }
    }

    private func take(_ token: UInt64) {
        switch token {
        case Load.signalToken:
            isStopping = true
            _ = epoll_ctl(poll, EPOLL_CTL_DEL, signals, nil)
        default:
            let client = clients[Int(token & 0xFFFF_FFFF)]
            if client.token == token { proceed(client) }
        }
    }

    // MARK: - A request

    private var mayStart: Bool {
        if isStopping { return false }
        if let requests = options.requests, started >= requests { return false }
        return true
    }

    /// Begins the next request, on the existing connection or a new one.
    private func begin(_ client: Client) {
        client.startedAt = 0
        guard mayStart else {
            disconnect(client)
            client.phase = .done
            active -= 1
            return
        }
        started += 1
        client.startedAt = now()
        client.deadline = client.startedAt + options.timeout
        client.answer.clear()
        client.sent = 0
        if client.socket < 0 { return connect(client) }
        client.phase = .sending
        proceed(client)
    }

    private func connect(_ client: Client) {
        client.answered = 0
        client.sent = 0
        client.turn &+= 1
        let type = Int32(SOCK_STREAM.rawValue | SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
        client.socket = socket(options.address.family, type, 0)
        guard client.socket >= 0 else { return lose(client, .other, lastError("open a socket")) }
        let result = options.address.withPointer { CLinux.connect(client.socket, $0, $1) }
        let reason = result == 0 ? 0 : clinux_errno()
        switch reason {
        case 0, EINPROGRESS:
            client.phase = .connecting
            // Edge-triggered, so that one epoll_ctl(2) suffices for the whole connection.
            let events = EPOLLIN.rawValue | EPOLLOUT.rawValue | EPOLLRDHUP.rawValue | EPOLLET.rawValue
            guard watch(client.socket, events, client.token) else {
                return lose(client, .other, lastError("watch a socket"))
            }
            tally.connections += 1
        case EAGAIN where options.address.family == AF_UNIX:
            // The backlog is full. A blocking connect(2) would wait in the kernel.
            tally.connectRetries += 1
            disconnect(client)
            pause(client)
        default:
            let words: ByteString = "connect: \(Errno(rawValue: reason).description)"
            lose(client, outcome(of: reason), words)
        }
    }

    /// Sends and receives until the socket would block.
    private func proceed(_ client: Client) {
        if client.phase == .connecting {
            var problem: Int32 = 0
            var size = socklen_t(4)
            getsockopt(client.socket, SOL_SOCKET, SO_ERROR, &problem, &size)
            if problem != 0 {
                return lose(client, outcome(of: problem), "connect: \(Errno(rawValue: problem).description)")
            }
            client.phase = .sending
        }
        if client.phase == .sending { send(client) }
        if client.phase == .receiving { receive(client) }
    }

    private func send(_ client: Client) {
        let isLast = client.answered + 1 >= options.requestsPerConnection
        let request = isLast ? lastRequest : keptRequest
        while client.sent < request.count {
            let size = request.bytes.withUnsafeBytes {
                CLinux.send(client.socket, $0.baseAddress! + client.sent, $0.count - client.sent, Int32(MSG_NOSIGNAL))
            }
            if size > 0 {
                client.sent += size
                continue
            }
            let reason = clinux_errno()
            if reason == EINTR { continue }
            if reason == EAGAIN || reason == ENOTCONN { return }
            return breakOff(client, outcome(of: reason), "send: \(Errno(rawValue: reason).description)")
        }
        client.phase = .receiving
    }

    private func receive(_ client: Client) {
        while true {
            let size = buffer.withUnsafeMutableBytes { recv(client.socket, $0.baseAddress!, $0.count, 0) }
            if size > 0 {
                buffer.withUnsafeBytes { client.answer.append(UnsafeRawBufferPointer(rebasing: $0[0..<size])) }
                if client.answer.isComplete(atEnd: false) { return complete(client) }
            } else if size == 0 {
                if client.answer.isComplete(atEnd: true) { return complete(client) }
                return breakOff(client, .short, "end after \(client.answer.bytes.count) bytes")
            } else {
                let reason = clinux_errno()
                if reason == EINTR { continue }
                if reason == EAGAIN { return }
                return breakOff(client, outcome(of: reason), "receive: \(Errno(rawValue: reason).description)")
            }
        }
    }

    private func complete(_ client: Client) {
        let answer = client.answer
        let isGood = answer.status >= 200 && answer.status < 300
        client.answered += 1
        if options.get { lastBody = answer.body }
        if !isGood { tally.noteLoss("status \(answer.status)") }
        tally.count(
            isGood ? .ok : .badStatus, from: client.startedAt, to: now(),
            label: answer.value("label"), pid: answer.value("pid"))
        if answer.isLast || client.answered >= options.requestsPerConnection { disconnect(client) }
        begin(client)
    }

    /// Counts a broken connection: as lost, or as an idle race, see `Outcome.idleRace`.
    private func breakOff(_ client: Client, _ outcome: Outcome, _ words: ByteString) {
        guard client.answered > 0, client.answer.isEmpty, outcome == .reset || outcome == .short else {
            return lose(client, outcome, words)
        }
        tally.count(.idleRace, from: client.startedAt, to: now(), label: nil, pid: nil)
        disconnect(client)
        connect(client)
    }

    private func lose(_ client: Client, _ outcome: Outcome, _ words: ByteString) {
        tally.noteLoss(words)
        tally.count(outcome, from: client.startedAt, to: now(), label: nil, pid: nil)
        disconnect(client)
        client.startedAt = 0
        pause(client)
    }

    private func pause(_ client: Client) {
        client.phase = .pausing
        client.wakeAt = now() + Load.pause
        pausing += 1
    }

    private func disconnect(_ client: Client) {
        guard client.socket >= 0 else { return }
        _ = close(client.socket)
        client.socket = -1
        client.turn &+= 1
    }

    private func watch(_ descriptor: Int32, _ events: UInt32, _ token: UInt64) -> Bool {
        var event = epoll_event()
        event.events = events
        event.data.u64 = token
        return epoll_ctl(poll, EPOLL_CTL_ADD, descriptor, &event) == 0
    }
}

private func outcome(of reason: Int32) -> Outcome {
    switch reason {
    case ECONNREFUSED, ENOENT: return .refused
    case ECONNRESET, EPIPE: return .reset
    case ETIMEDOUT: return .timedOut
    default: return .other
    }
}

private func lastError(_ verb: ByteString) -> ByteString {
    "\(verb): \(Errno(rawValue: clinux_errno()).description)"
}
