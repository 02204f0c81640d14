import CLinux
import Foundation
import Testing

@testable import ReusePortKit

let isRoot = geteuid() == 0
let nobody: UInt32 = 65534

let ipv4Loopback = SocketAddress.ipv4(0x7F00_0001, port: 0)
let ipv6Loopback = SocketAddress.ipv6(high: 0, low: 1, port: 0, scope: 0)
let ipv4Wildcard = SocketAddress.ipv4(0, port: 0)
let ipv6Wildcard = SocketAddress.ipv6(high: 0, low: 0, port: 0, scope: 0)

/// A socket for a test, with the options that matter here.
struct InspectedSocket: ~Copyable {
    let descriptor: Descriptor
    let address: SocketAddress

    var number: Int32 { descriptor.number }
    var port: UInt16 { address.port ?? 0 }
    var inode: UInt64 { (try? socketInode(of: descriptor)) ?? 0 }
    var cookie: UInt64 { (try? socketCookie(of: descriptor)) ?? 0 }

    init(
        _ kind: InternetProtocol = .tcp, _ address: SocketAddress = ipv4Loopback, shares: Bool = false,
        reusesAddress: Bool = false, isIPv6Only: Bool = false, backlog: Int32? = nil
    ) throws(Errno) {
        let type = kind == .tcp ? SOCK_STREAM : SOCK_DGRAM
        let descriptor = Descriptor(
            owning: try checked(CLinux.socket(address.family, Int32(type.rawValue | SOCK_CLOEXEC.rawValue), 0)))
        try Self.turnOn(descriptor, SOL_SOCKET, SO_REUSEPORT, shares)
        try Self.turnOn(descriptor, SOL_SOCKET, SO_REUSEADDR, reusesAddress)
        if address.family == AF_INET6 {
            try Self.turnOn(descriptor, Int32(IPPROTO_IPV6), IPV6_V6ONLY, isIPv6Only)
        }
        let number = descriptor.number
        _ = try address.withSockaddr { raw, count throws(Errno) in try checked(CLinux.bind(number, raw, count)) }
        if let backlog { try checked(CLinux.listen(number, backlog)) }
        self.address = try Self.name(of: descriptor)
        self.descriptor = descriptor
    }

    /// A client, connected when this returns.
    init(connectedTo address: SocketAddress) throws(Errno) {
        let type = Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue)
        let descriptor = Descriptor(owning: try checked(CLinux.socket(address.family, type, 0)))
        let number = descriptor.number
        _ = try address.withSockaddr { raw, count throws(Errno) in try checked(CLinux.connect(number, raw, count)) }
        self.address = try Self.name(of: descriptor)
        self.descriptor = descriptor
    }

    private init(owning descriptor: consuming Descriptor) throws(Errno) {
        self.address = try Self.name(of: descriptor)
        self.descriptor = descriptor
    }

    borrowing func accepted() throws(Errno) -> InspectedSocket {
        let accepted = try checked(accept4(number, nil, nil, Int32(SOCK_CLOEXEC.rawValue)))
        return try InspectedSocket(owning: Descriptor(owning: accepted))
    }

    borrowing func listenNow(_ backlog: Int32 = 8) throws(Errno) { try checked(CLinux.listen(number, backlog)) }

    private static func turnOn(
        _ socket: borrowing Descriptor, _ level: Int32, _ option: Int32, _ isOn: Bool
    ) throws(Errno) {
        var value: Int32 = isOn ? 1 : 0
        try checked(setsockopt(socket.number, level, option, &value, socklen_t(MemoryLayout<Int32>.size)))
    }

    private static func name(of socket: borrowing Descriptor) throws(Errno) -> SocketAddress {
        var storage = sockaddr_storage()
        var count = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let number = socket.number
        let address = withUnsafeMutableBytes(of: &storage) { raw -> SocketAddress? in
            let start = raw.baseAddress!
            guard getsockname(number, start.assumingMemoryBound(to: sockaddr.self), &count) == 0 else { return nil }
            return SocketAddress(storage: start, count: Int(count))
        }
        guard let address else { throw .current }
        return address
    }
}

/// A child process that lives until its standard input ends, and is gone when its owner is.
final class Child {
    let pid: Int32
    private var input: Int32
    private let output: Int32
    private var isReaped = false

    /// `cat` unless something else is given. `socket` becomes its descriptor 3.
    ///
    /// When posix_spawn(3) returns, execve(2) may still have to set name and arguments. What `echoes` is known to run
    /// when this returns.
    init(
        _ arguments: [String] = ["cat"], path: String? = nil, socket: Int32? = nil, echoes: Bool = true
    ) throws {
        var inputs: [Int32] = [-1, -1]
        var outputs: [Int32] = [-1, -1]
        // Close-on-exec, or children of other tests would hold this one's standard input open.
        try checked(pipe2(&inputs, O_CLOEXEC))
        try checked(pipe2(&outputs, O_CLOEXEC))
        defer {
            close(inputs[0])
            close(outputs[1])
        }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, inputs[0], 0)
        posix_spawn_file_actions_adddup2(&actions, outputs[1], 1)
        var copy: Int32 = -1
        if let socket {
            // dup2 of a descriptor onto itself would leave it close-on-exec: so it is never 3 to begin with.
            copy = try checked(clinux_fcntl(socket, F_DUPFD_CLOEXEC, 100))
            posix_spawn_file_actions_adddup2(&actions, copy, 3)
        }
        defer { if copy >= 0 { close(copy) } }
        // Tests run on threads that block signals, which children would take over.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK))
        var argv: [UnsafeMutablePointer<CChar>?] = arguments.map { strdup($0) }
        argv.append(nil)
        defer { for one in argv { free(one) } }
        var child: pid_t = 0
        let code = posix_spawnp(&child, path ?? arguments[0], &actions, &attributes, argv, clinux_environ())
        guard code == 0 else { throw Errno(rawValue: code) }
        pid = child
        input = inputs[1]
        output = outputs[0]
        if echoes {
            try checked(write(input, "\n", 1))
            _ = readLine()
        }
    }

    deinit {
        endInput()
        close(output)
        if !isReaped {
            kill(pid, SIGKILL)
            var status: Int32 = 0
            waitpid(pid, &status, 0)
        }
    }

    /// Its standard input ends.
    func endInput() {
        if input >= 0 { close(input) }
        input = -1
    }

    /// What it writes, up to the end of a line.
    func readLine() -> String {
        var line: [UInt8] = []
        var byte: UInt8 = 0
        while CLinux.read(output, &byte, 1) == 1, byte != UInt8(ascii: "\n") { line.append(byte) }
        return String(decoding: line, as: UTF8.self)
    }

    /// waitpid(2): the status, with WUNTRACED also when it stops.
    func wait(options: Int32 = 0) -> Int32 {
        var status: Int32 = 0
        waitpid(pid, &status, options)
        if status & 0xFF != 0x7F { isReaped = true }
        return status
    }
}

/// Runs `body` as the user nobody, on a thread of its own: to the kernel, credentials belong to the thread; it is the
/// C library that keeps those of all threads the same.
func asNobody<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) throws -> Result {
    let box = Box<Swift.Result<Result, any Error>>()
    let thread = Thread {
        let id = Int(nobody)
        let groups = clinux_syscall(Int(SYS_setgroups), 0, 0, 0, 0, 0, 0)
        let group = clinux_syscall(Int(SYS_setresgid), id, id, id, 0, 0, 0)
        let user = clinux_syscall(Int(SYS_setresuid), id, id, id, 0, 0, 0)
        if groups == 0, group == 0, user == 0 {
            box.put(Swift.Result { try body() })
        } else {
            box.put(.failure(Errno.current))
        }
    }
    thread.start()
    return try box.take().get()
}

private final class Box<Value>: @unchecked Sendable {
    private let full = DispatchSemaphore(value: 0)
    private var value: Value?

    func put(_ value: Value) {
        self.value = value
        full.signal()
    }

    func take() -> Value {
        full.wait()
        return value!
    }
}

/// Asks again and again until the answer is yes; no after ten seconds.
func eventually(_ question: () throws -> Bool) rethrows -> Bool {
    let deadline = ReusePortKit.Deadline(after: .seconds(10))
    while !deadline.hasPassed {
        if try question() { return true }
        usleep(2000)
    }
    return false
}

/// Asks until the answer is the expected one, and gives back the last answer.
///
/// For everything about who has a socket: a child that another test is starting has copies of all our descriptors
/// until it executes its program.
func settled<Answer: Equatable>(_ expected: Answer, _ ask: () throws -> Answer) rethrows -> Answer {
    var answer = try ask()
    _ = try eventually {
        if answer != expected { answer = try ask() }
        return answer == expected
    }
    return answer
}

/// A directory of its own, removed with its content.
final class TemporaryDirectory {
    let path: String

    init() throws {
        var template = Array("\(NSTemporaryDirectory())/inspect-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Errno.current }
        path = template.withUnsafeBufferPointer { String(cString: $0.baseAddress!) }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}
