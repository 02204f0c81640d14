import CLinux
import Foundation

@testable import ReusePortKit

let streamSocket = Int32(SOCK_STREAM.rawValue)
let datagramSocket = Int32(SOCK_DGRAM.rawValue)
let closeOnExec = Int32(SOCK_CLOEXEC.rawValue)

/// Where a test connects to.
enum Place {
    case v4(UInt16)
    case v6(UInt16)
    case unix(String)

    var family: Int32 {
        switch self {
        case .v4: AF_INET
        case .v6: AF_INET6
        case .unix: AF_UNIX
        }
    }

    func withAddress<Result>(_ body: (UnsafePointer<sockaddr>, socklen_t) -> Result) -> Result {
        func call<Address>(_ address: Address) -> Result {
            withUnsafePointer(to: address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                    body($0, socklen_t(MemoryLayout<Address>.size))
                }
            }
        }
        switch self {
        case .v4(let port):
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_port = port.bigEndian
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            return call(address)
        case .v6(let port):
            var address = sockaddr_in6()
            address.sin6_family = sa_family_t(AF_INET6)
            address.sin6_port = port.bigEndian
            address.sin6_addr = in6addr_loopback
            return call(address)
        case .unix(let path):
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            let capacity = MemoryLayout.size(ofValue: address.sun_path)
            precondition(path.utf8.count < capacity, "the path does not fit")
            withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path.utf8) }
            return call(address)
        }
    }
}

struct SocketProblem: Error, CustomStringConvertible {
    let description: String
    init(_ what: String) { description = "\(what): \(String(cString: strerror(errno)))" }
}

/// A socket of the test's own.
final class Endpoint {
    let fd: Int32

    init(_ family: Int32, _ type: Int32) throws {
        fd = socket(family, type | closeOnExec, 0)
        guard fd >= 0 else { throw SocketProblem("socket") }
        var limit = timeval(tv_sec: Int(patience.count / 1000), tv_usec: 0)
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
    }

    deinit { close(fd) }

    /// Connects at once, or says why not.
    static func connect(_ place: Place, type: Int32 = streamSocket) throws -> Endpoint {
        let endpoint = try Endpoint(place.family, type)
        let result = place.withAddress { Glibc.connect(endpoint.fd, $0, $1) }
        guard result == 0 else { throw SocketProblem("connect \(place)") }
        return endpoint
    }

    /// A listener, or a bound datagram socket.
    static func bound(_ place: Place, type: Int32 = streamSocket, share: Bool = false, backlog: Int32? = 5) throws
        -> Endpoint
    {
        let endpoint = try Endpoint(place.family, type)
        if share { endpoint.set(SO_REUSEPORT) }
        guard place.withAddress({ Glibc.bind(endpoint.fd, $0, $1) }) == 0 else { throw SocketProblem("bind \(place)") }
        if let backlog, type == streamSocket { listen(endpoint.fd, backlog) }
        return endpoint
    }

    func set(_ option: Int32) {
        var one: Int32 = 1
        setsockopt(fd, SOL_SOCKET, option, &one, 4)
    }

    var port: UInt16 {
        var address = sockaddr_in()
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            _ = pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(fd, $0, &size) }
        }
        return UInt16(bigEndian: address.sin_port)
    }

    func send(_ text: String) throws {
        let bytes = Array(text.utf8)
        guard Glibc.send(fd, bytes, bytes.count, Int32(MSG_NOSIGNAL)) == bytes.count else {
            throw SocketProblem("send")
        }
    }

    /// One read's worth; empty at the end.
    func receive() throws -> String {
        var buffer = [UInt8](repeating: 0, count: 1 << 16)
        let count = recv(fd, &buffer, buffer.count, 0)
        guard count >= 0 else { throw SocketProblem("recv") }
        return String(decoding: buffer[..<count], as: UTF8.self)
    }

    func receiveAll() throws -> String {
        var all = ""
        while true {
            let part = try receive()
            if part.isEmpty { return all }
            all += part
        }
    }
}

extension Running {
    /// Connects as soon as somebody listens there; fails when the process ends instead.
    func connect(_ place: Place) throws -> Endpoint {
        var connected: Endpoint?
        try waitUntil("a listener at \(place)") {
            let endpoint = try Endpoint(place.family, streamSocket)
            if place.withAddress({ Glibc.connect(endpoint.fd, $0, $1) }) == 0 {
                connected = endpoint
                return true
            }
            guard errno == ECONNREFUSED || errno == ENOENT else { throw SocketProblem("connect \(place)") }
            if state(of: pid) == "Z" { throw Unavailable(description: "the server ended: \(try end().errors)") }
            return false
        }
        return connected!
    }

    /// The whole answer to a GET request. Connections wait in the listener's queue until the server takes them.
    func get(_ place: Place, path: String = "/") throws -> String {
        let endpoint = try connect(place)
        try endpoint.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return try endpoint.receiveAll()
    }
}

/// A port number that is ours for the length of the test: bound, sharing and not listening, so that sockets of
/// the same user can join it and nobody else gets it.
final class ReservedPort {
    private let endpoint: Endpoint
    let number: UInt16

    init(family: Int32 = AF_INET, type: Int32 = streamSocket) throws {
        // SO_REUSEPORT alone: TCP's SO_REUSEADDR is not needed to share, and the launcher's having it does no harm.
        endpoint = try Endpoint.bound(family == AF_INET ? .v4(0) : .v6(0), type: type, share: true, backlog: nil)
        number = endpoint.port
    }
}

/// A socket's name that nobody listens at any more: what other tests fork meanwhile listens too, until its exec.
func leaveStaleSocket(_ path: String) throws {
    do { _ = try Endpoint.bound(.unix(path)) }
    let folder = try open(directory(of: ByteString(path)), CLINUX_O_PATH | O_DIRECTORY)
    try waitUntil("nobody to listen at \(path)") { isUnserved(lastComponent(of: ByteString(path)), in: folder) }
}
