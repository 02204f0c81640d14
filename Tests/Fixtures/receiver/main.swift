// Tests InheritedSockets: prints a line for each descriptor, and for each variable that is left. With an argument,
// takes the socket of that name first. `--tell STATUS` tests NotifySocket instead.
import CLinux
import ReusePortKit

func say(_ line: ByteString) {
    let bytes = line.bytes + [10]
    _ = bytes.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
}

func describe(_ socket: borrowing InheritedSocket) {
    let kind: ByteString =
        switch socket.kind {
        case .listener: "listener"
        case .bound: "bound"
        case .datagram: "datagram"
        case .file: "file"
        }
    let flags = clinux_fcntl(socket.descriptor.number, F_GETFD, 0)
    say("\(socket.name) \(kind) \(socket.address?.description ?? "-") \(socket.descriptor.number) \(flags)")
}

do {
    if CommandLine.arguments.count > 2, CommandLine.arguments[1] == "--tell" {
        if let notify = NotifySocket() {
            try notify.tellReady(status: ByteString(CommandLine.arguments[2]))
            try notify.tellStopping()
            say("told")
        } else {
            say("nobody waits")
        }
        exit(0)
    }
    var sockets = try InheritedSockets()
    if CommandLine.arguments.count > 1 {
        if let one = sockets.take(named: ByteString(CommandLine.arguments[1])) {
            describe(one)
            let number = one.take().release()
            say("taken \(number)")
        } else {
            say("none")
        }
    }
    say("count \(sockets.count)")
    for index in 0..<sockets.count { describe(sockets[index]) }
    while let one = sockets.takeFirst() { _ = consume one }
    say("open \(clinux_fcntl(3, F_GETFD, 0))")
    for name in ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "LISTEN_PIDFDID"] where getenv(name) != nil {
        say("left \(ByteString(name))")
    }
} catch {
    say("error \(error.message)")
}
