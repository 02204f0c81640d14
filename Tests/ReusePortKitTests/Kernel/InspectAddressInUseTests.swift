import CLinux
import Testing

@testable import ReusePortKit

@Suite struct InspectAddressInUseTests {
    static let stop = "stop it, choose another port, or have it set SO_REUSEPORT"
    static let sameOwner = "every generation must bind under the same uid"

    @Test(arguments: [InternetProtocol.tcp, .udp], [ipv4Loopback, ipv6Loopback])
    func heldByAProcessThatDoesNotShare(kind: InternetProtocol, address: SocketAddress) throws {
        let (holder, taken) = try holder(kind, address)
        try expect(
            kind, taken, "port \(taken.port!) is held by pid \(holder.pid) (cat), which does not share it",
            remedy: Self.stop)
    }

    @Test func heldBySeveralProcesses() throws {
        let socket = try InspectedSocket(backlog: 1)
        let (address, port) = (socket.address, socket.port)
        let first = try Running.cat(socket: socket.number)
        let second = try Running.cat(socket: socket.number)
        _ = consume socket
        // Both may have been started in the same tick of the clock.
        let possible = [first, second].map {
            "port \(port) is held by pid \($0.pid) (cat) and 1 more, which do not share it"
        }
        #expect(try settled(true) { possible.contains(try explain(.tcp, address).reason.text) })
    }

    @Test func heldAtTheWildcardAddress() throws {
        let (holder, taken) = try holder(.tcp, ipv4Wildcard)
        let port = taken.port!
        let reason = "port \(port) is held at 0.0.0.0:\(port) by pid \(holder.pid) (cat), which does not share it"
        try expect(.tcp, ipv4Loopback.with(port: port), reason, remedy: Self.stop)
        try expect(.tcp, ipv6Wildcard.with(port: port), reason, remedy: Self.stop)
    }

    @Test func heldByADualStackSocket() throws {
        let (holder, taken) = try holder(.tcp, ipv6Wildcard)
        let port = taken.port!
        try expect(
            .tcp, ipv4Loopback.with(port: port),
            "port \(port) is held at [::]:\(port) by pid \(holder.pid) (cat), which does not share it",
            remedy: Self.stop)
    }

    @Test(.enabled(if: kernelIsAtLeast(6, 8), "the kernel tells of bound TCP sockets since 6.8"))
    func heldByASocketThatIsOnlyBound() throws {
        let (holder, taken) = try holder(.tcp, ipv4Loopback, backlog: nil)
        try expect(
            .tcp, taken, "port \(taken.port!) is held by pid \(holder.pid) (cat), which does not share it",
            remedy: Self.stop)
    }

    @Test(arguments: [InternetProtocol.tcp, .udp])
    func sharedByAnotherUser(kind: InternetProtocol) throws {
        try Tool.requireRoot()
        let (holder, taken) = try holder(kind, ipv4Loopback, shares: true, owner: nobody)
        let owner = userDescription(nobody).text
        #expect(owner.hasPrefix("uid 65534"))
        try expect(
            kind, taken,
            "port \(taken.port!) is held by sockets of \(owner), pid \(holder.pid) (cat), that share it, "
                + "but \(Self.sameOwner)",
            remedy: "stop it, or start this as \(owner) instead of uid 0")
    }

    @Test func notSharedByAnotherUser() throws {
        try Tool.requireRoot()
        let (holder, taken) = try holder(.tcp, ipv4Loopback, owner: nobody)
        try expect(
            .tcp, taken, "port \(taken.port!) is held by pid \(holder.pid) (cat), which does not share it",
            remedy: Self.stop)
    }

    /// Two obstacles: the one that shares and has our owner is not to blame.
    @Test func theOneToBlameIsNamed() throws {
        let innocent = try InspectedSocket(.tcp, ipv4Loopback, shares: true, reusesAddress: true, backlog: 1)
        let port = innocent.port
        let (holder, _) = try holder(.tcp, .ipv4(0x7F00_0002, port: port))
        try expect(
            .tcp, ipv4Wildcard.with(port: port),
            "port \(port) is held at 127.0.0.2:\(port) by pid \(holder.pid) (cat), which does not share it",
            remedy: Self.stop)
        _ = innocent.number
    }

    @Test func heldByAProcessThatMayNotBeSeen() throws {
        try Tool.requireRoot()
        let (holder, taken) = try holder(.tcp, ipv4Loopback, shares: true)
        let port = taken.port!
        let inode = try #require(try internetSockets(.tcp, states: .listening, localPort: port).first).inode
        let socket = "port \(port) is held by a socket of \(userDescription(0).text), inode \(inode)"
        func asked(by uid: UInt32) throws -> Explanation {
            try asNobody {
                explainAddressInUse(BindAttempt(internetProtocol: .tcp, address: taken, isIPv6Only: false, uid: uid))
            }
        }
        // In the way of nobody's socket for its owner alone; whether it shares cannot be seen.
        let other = "\(socket), and \(Self.sameOwner)"
        #expect(try settled(other) { try asked(by: nobody).reason.text } == other)
        #expect(try asked(by: nobody).remedy?.text == "run as root to see which process that is")
        // What has the same owner and is in the way is inferred not to share.
        #expect(try asked(by: 0).reason.text == "\(socket), which does not share it")
        _ = holder.pid
    }

    @Test func withoutProc() throws {
        let (holder, taken) = try holder(.tcp, ipv4Loopback)
        let inode = try #require(try internetSockets(.tcp, states: .listening, localPort: taken.port).first).inode
        let explanation = explainAddressInUse(
            BindAttempt(internetProtocol: .tcp, address: taken, isIPv6Only: false, uid: geteuid()),
            in: ProcFileSystem(root: "/nonexistent"))
        #expect(
            explanation.reason.text
                == "port \(taken.port!) is held by a socket of \(userDescription(geteuid()).text), inode \(inode), "
                + "which does not share it")
        #expect(explanation.remedy?.text == "mount /proc to see which process that is")
        _ = holder.pid
    }

    /// A client's socket has its port to itself although nobody listens there.
    @Test func heldByAConnection() throws {
        let listener = try InspectedSocket(backlog: 1)
        let client = try InspectedSocket(connectedTo: listener.address)
        let (holder, taken, remote) = (try Running.cat(socket: client.number), client.address, listener.address)
        _ = consume client
        try expect(
            .tcp, taken,
            "port \(taken.port!) is the local port of a connection of pid \(holder.pid) (cat) to "
                + remote.description.text,
            remedy: "try again later, or choose a port outside of net.ipv4.ip_local_port_range")
        _ = listener.number
    }

    @Test func goneMeanwhile() throws {
        let socket = try InspectedSocket(backlog: 1)
        let address = socket.address
        _ = consume socket
        let attempt = BindAttempt(internetProtocol: .tcp, address: address, isIPv6Only: false, uid: geteuid())
        let reason = "address already in use"
        #expect(settled(reason) { explainAddressInUse(attempt).reason.text } == reason)
        #expect(explainAddressInUse(attempt).remedy?.text == "the socket that held it is gone: try again")
    }

    /// Which addresses are in each other's way is compared with what the kernel says to bind(2).
    @Test(arguments: [InternetProtocol.tcp, .udp])
    func overlapIsTheKernels(kind: InternetProtocol) throws {
        let mapped = SocketAddress.ipv6(high: 0, low: 0xFFFF_7F00_0001, port: 0, scope: 0)
        let candidates: [(SocketAddress, Bool)] = [
            (ipv4Wildcard, false), (ipv4Loopback, false), (.ipv4(0x7F00_0002, port: 0), false), (ipv6Loopback, false),
            (ipv6Loopback, true), (ipv6Wildcard, false), (ipv6Wildcard, true), (mapped, false),
        ]
        for (held, heldOnly) in candidates {
            for (wanted, wantedOnly) in candidates {
                // A port may be taken at one of the addresses by a stranger: then another one must agree.
                var agrees = false
                for _ in 0..<5 where !agrees {
                    let holder = try InspectedSocket(
                        kind, held, isIPv6Only: heldOnly, backlog: kind == .tcp ? 1 : nil)
                    let inode = holder.inode
                    let states: SocketStates = kind == .tcp ? .listening : .bound
                    let record = try #require(
                        try internetSockets(kind, states: states, localPort: holder.port)
                            .first { $0.inode == inode })
                    let address = wanted.with(port: holder.port)
                    let attempt = BindAttempt(
                        internetProtocol: kind, address: address, isIPv6Only: wantedOnly, uid: geteuid())
                    agrees = attempt.overlaps(record) == isInUse(kind, address, isIPv6Only: wantedOnly)
                }
                #expect(agrees, "\(held) \(heldOnly) against \(wanted) \(wantedOnly)")
            }
        }
    }

    /// A child that alone has a socket.
    private func holder(
        _ kind: InternetProtocol, _ address: SocketAddress, shares: Bool = false, backlog: Int32? = 1,
        owner: UInt32? = nil
    ) throws -> (Running, SocketAddress) {
        let socket: InspectedSocket
        if let owner {
            // The owner of a socket is that of its inode.
            let made = try InspectedSocket(kind, address, shares: shares, backlog: nil)
            try checked(fchown(made.number, owner, owner))
            if kind == .tcp { try made.listenNow() }
            socket = made
        } else {
            socket = try InspectedSocket(kind, address, shares: shares, backlog: kind == .tcp ? backlog : nil)
        }
        return (try Running.cat(socket: socket.number), socket.address)
    }

    private func expect(
        _ kind: InternetProtocol, _ address: SocketAddress, _ reason: String, remedy: String,
        location: SourceLocation = #_sourceLocation
    ) throws {
        #expect(try settled(reason) { try explain(kind, address).reason.text } == reason, sourceLocation: location)
        #expect(try explain(kind, address).remedy?.text == remedy, sourceLocation: location)
    }

    /// Makes sure that the kernel refuses, as it does to the launcher, and explains.
    private func explain(_ kind: InternetProtocol, _ address: SocketAddress) throws -> Explanation {
        #expect(isInUse(kind, address, isIPv6Only: false))
        return explainAddressInUse(
            BindAttempt(internetProtocol: kind, address: address, isIPv6Only: false, uid: geteuid()))
    }

    /// Binds as the launcher does.
    private func isInUse(_ kind: InternetProtocol, _ address: SocketAddress, isIPv6Only: Bool) -> Bool {
        do throws(Errno) {
            _ = try InspectedSocket(kind, address, shares: true, reusesAddress: kind == .tcp, isIPv6Only: isIPv6Only)
            return false
        } catch {
            #expect(error == .addressInUse)
            return true
        }
    }
}
