import CLinux

/// Lets a command reach a copy that clients do not reach yet: connections to ports of its own, one for each stream
/// socket, are passed on to the copy by probes.
struct Relay: ~Copyable {
    /// Becomes readable when there is something to pass on, or what is watched has ended.
    let events: Descriptor
    private let ports: OwnedArray<Descriptor>
    /// The index of each port's listener.
    private let indices: [Int]
    private var passages: [Passage] = []

    /// Adds a variable for each port: `REUSEPORT_EXEC_PROBE_web=127.0.0.1:40001`. There is none without lo.
    init(to listeners: [ListenerIdentity], named variables: inout [ByteString]) throws(Errno) {
        let events = Descriptor(owning: try checked(epoll_create1(Int32(EPOLL_CLOEXEC))))
        var ports = OwnedArray<Descriptor>()
        var indices: [Int] = []
        for (index, listener) in listeners.enumerated() where listener.transport != .udp {
            let port = try socket(
                family: AF_INET, type: Int32(SOCK_STREAM.rawValue), flags: Int32(SOCK_NONBLOCK.rawValue))
            guard (try? bindToFreePort(port, loopback(AF_INET))) != nil, let address = try localAddress(of: port) else {
                continue
            }
            try listen(port, backlog: 16)
            try checked(clinux_epoll_add(events.number, port.number))
            variables.append("\(probeVariable(listener.name))=\(address.description)")
            ports.append(port)
            indices.append(index)
        }
        self.events = events
        self.ports = ports
        self.indices = indices
    }

    func watch(_ descriptor: borrowing Descriptor) throws(Errno) {
        try checked(clinux_epoll_add(events.number, descriptor.number))
    }

    /// Passes on what has come, without waiting. `connect` connects a probe to the listener at an index.
    @inline(never)
    mutating func pass(_ connect: (Int) throws(Failure) -> Descriptor) throws(NotReady) {
        for index in 0..<ports.count {
            while let near = accept(at: index) {
                let passage = Passage(near, try orNotReady { () throws(Failure) in try connect(indices[index]) })
                if (try? watch(passage.near)) != nil, (try? watch(passage.far)) != nil { passages.append(passage) }
            }
        }
        for index in passages.indices.reversed() where !passages[index].pass(events.number) {
            passages.remove(at: index)
        }
    }

    /// Closes all connections.
    mutating func close() { passages = [] }

    /// Accepts a connection; nil if there is none. Other users must not reach what is not ready.
    private func accept(at index: Int) -> Descriptor? {
        while true {
            let flags = Int32(SOCK_NONBLOCK.rawValue | SOCK_CLOEXEC.rawValue)
            let number = accept4(ports[index].number, nil, nil, flags)
            if number < 0 { return nil }
            let near = Descriptor(owning: number)
            if (try? user(atOtherEndOf: near)) == geteuid() { return near }
        }
    }
}

private func user(atOtherEndOf socket: borrowing Descriptor) throws(Errno) -> UInt32? {
    guard let from = try remoteAddress(of: socket), let to = try localAddress(of: socket) else { return nil }
    return try connection(from: from, to: to, interface: 1)?.uid
}

/// The variable in which a command finds where it reaches the socket of this name.
func probeVariable(_ socket: ByteString) -> ByteString {
    var name: ByteString = "REUSEPORT_EXEC_PROBE_"
    for byte in socket.bytes {
        // Letters of either case differ in one bit.
        let isLetter = byte | 0x20 >= UInt8(ascii: "a") && byte | 0x20 <= UInt8(ascii: "z")
        let isDigit = byte >= UInt8(ascii: "0") && byte <= UInt8(ascii: "9")
        name.bytes.append(isLetter || isDigit ? byte : UInt8(ascii: "_"))
    }
    return name
}

/// A connection of the command and the probe that continues it.
private final class Passage {
    let near: Descriptor
    let far: Descriptor
    private var isOpen = (fromNear: true, fromFar: true)

    init(_ near: consuming Descriptor, _ far: consuming Descriptor) {
        self.near = near
        self.far = far
    }

    /// Passes on what has come in both directions; false when it is over.
    func pass(_ events: Int32) -> Bool {
        Passage.pass(near, far, events, &isOpen.fromNear) && Passage.pass(far, near, events, &isOpen.fromFar)
            && (isOpen.fromNear || isOpen.fromFar)
    }

    /// What cannot be sent yet stays in the kernel.
    private static func pass(
        _ from: borrowing Descriptor, _ to: borrowing Descriptor, _ events: Int32, _ isOpen: inout Bool
    ) -> Bool {
        while isOpen {
            do throws(Errno) {
                let piece = try receive(from, atMost: 16384, flags: Int32(MSG_PEEK))
                if piece.isEmpty {
                    shutdown(to.number, Int32(SHUT_WR))
                    epoll_ctl(events, EPOLL_CTL_DEL, from.number, nil)
                    isOpen = false
                    break
                }
                let sent = try checked(
                    piece.bytes.withUnsafeBytes {
                        send(to.number, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL | MSG_DONTWAIT))
                    })
                _ = try receive(from, atMost: sent)
            } catch .again {
                break
            } catch {
                return false
            }
        }
        return true
    }
}
