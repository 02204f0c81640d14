import CLinux
import Testing

@testable import ReusePortKit

@Suite struct InspectAddressInUseTests {
    static let stop = "stop it, choose another port, or have it set SO_REUSEPORT"
    static let sameOwner = "every generation must bind under the same uid"

    @Test(arguments: [InternetProtocol.tcp, .udp], [ipv4Loopback, ipv6Loopback])
    func heldByAProcessThatDoesNotShare(kind: InternetProtocol, address: SocketAddress) throws {
        let (holder, taken) = try holder(kind, address)
        let explanation = try explain(kind, taken)
        #expect(
            explanation.reason.text
                == "port \(taken.port!) is held by pid \(holder.pid) (cat), which does not share it")
        #expect(explanation.remedy?.text == Self.stop)
    }

    @Test func heldBySeveralProcesses() throws {
        let socket = try TestSocket(backlog: 1)
        let (first, port) = (try Child(socket: socket.number), socket.port)
        let second = try Child(socket: socket.number)
        let address = socket.address
        _ = consume socket
        let explanation = try explain(.tcp, address)
        let reasons = [first, second].map { "port \(port) is held by pid \($0.pid) (cat) and 1 more, which do not share it" }
        #expect(reasons.contains(explanation.reason.text))
    }

    @Test func heldAtTheWildcardAddress() throws {
        let (holder, taken) = try holder(.tcp, ipv4Wildcard)
        let port = taken.port!
        #expect(
            try explain(.tcp, ipv4Loopback.with(port: port)).reason.text
                == "port \(port) is held at 0.0.0.0:\(port) by pid \(holder.pid) (cat), which does not share it")
        #expect(
            try explain(.tcp, ipv6Wildcard.with(port: port)).reason.text
                == "port \(port) is held at 0.0.0.0:\(port) by pid \(holder.pid) (cat), which does not share it")
    }

    @Test func heldByADualStackSocket() throws {
        let (holder, taken) = try holder(.tcp, ipv6Wildcard)
        let port = taken.port!
        #expect(
            try explain(.tcp, ipv4Loopback.with(port: port)).reason.text
                == "port \(port) is held at [::]:\(port) by pid \(holder.pid) (cat), which does not share it")
    }

    @Test(.enabled(if: kernelIsAtLeast(6, 8), "the kernel tells of bound TCP sockets since 6.8"))
    func heldByASocketThatIsOnlyBound() throws {
        let (holder, taken) = try holder(.tcp, ipv4Loopback, backlog: nil)
        let explanation = try explain(.tcp, taken)
        #expect(
            explanation.reason.text
                == "port \(taken.port!) is held by pid \(holder.pid) (cat), which does not share it")
    }

    @Test(
        .enabled(if: isRoot, "only root can make sockets of another user"), arguments: [InternetProtocol.tcp, .udp])
    func sharedByAnotherUser(kind: InternetProtocol) throws {
        let (holder, taken) = try holder(kind, ipv4Loopback, shares: true, owner: nobody)
        let explanation = try explain(kind, taken)
        let owner = userDescription(nobody).text
        #expect(owner.hasPrefix("uid 65534"))
        #expect(
            explanation.reason.text
                == "port \(taken.port!) is held by sockets of \(owner), pid \(holder.pid) (cat), that share it, "
                + "but \(Self.sameOwner)")
        #expect(explanation.remedy?.text == "stop it, or start this as \(owner) instead of uid 0")
    }

    @Test(.enabled(if: isRoot, "only root can make sockets of another user"))
    func notSharedByAnotherUser() throws {
        let (holder, taken) = try holder(.tcp, ipv4Loopback, owner: nobody)
        #expect(
            try explain(.tcp, taken).reason.text
                == "port \(taken.port!) is held by pid \(holder.pid) (cat), which does not share it")
    }

    /// Two obstacles: the one that shares and has our owner is not to blame.
    @Test func theOneToBlameIsNamed() throws {
        let innocent = try TestSocket(.tcp, ipv4Loopback, shares: true, reusesAddress: true, backlog: 1)
        let other = SocketAddress.ipv4(0x7F00_0002, port: innocent.port)
        let (holder, _) = try holder(.tcp, other)
        let explanation = try explain(.tcp, ipv4Wildcard.with(port: innocent.port))
        #expect(
            explanation.reason.text
                == "port \(innocent.port) is held at 127.0.0.2:\(innocent.port) by pid \(holder.pid) (cat), "
                + "which does not share it")
    }

    @Test(.enabled(if: isRoot, "only root can become another user"))
    func heldByAProcessThatMayNotBeSeen() throws {
        let (holder, taken) = try holder(.tcp, ipv4Loopback, shares: true)
        let port = taken.port!
        let inode = try #require(try internetSockets(.tcp, states: .listening, localPort: port).first).inode
        let (other, own) = try asNobody {
            // Our own socket would be nobody's: in the way for its owner. It is known to be so for that reason only.
            let other = explainAddressInUse(BindAttempt(.tcp, taken, isIPv6Only: false, uid: nobody))
            // What has our own uid and is in the way is inferred not to share.
            let own = explainAddressInUse(BindAttempt(.tcp, taken, isIPv6Only: false, uid: 0))
            return (other, own)
        }
        let root = userDescription(0).text
        #expect(
            other.reason.text
                == "port \(port) is held by a socket of \(root), inode \(inode), and \(Self.sameOwner)")
        #expect(other.remedy?.text == "run as root to see which process that is")
        #expect(
            own.reason.text == "port \(port) is held by a socket of \(root), inode \(inode), which does not share it")
        _ = holder.pid
    }

    @Test func withoutProc() throws {
        let (holder, taken) = try holder(.tcp, ipv4Loopback)
        let inode = try #require(try internetSockets(.tcp, states: .listening, localPort: taken.port).first).inode
        let explanation = explainAddressInUse(
            BindAttempt(.tcp, taken, isIPv6Only: false, uid: geteuid()), in: ProcFileSystem(root: "/nonexistent"))
        #expect(
            explanation.reason.text
                == "port \(taken.port!) is held by a socket of \(userDescription(geteuid()).text), inode \(inode), "
                + "which does not share it")
        #expect(explanation.remedy?.text == "mount /proc to see which process that is")
        _ = holder.pid
    }

    /// A client's socket has its port to itself although nobody listens there.
    @Test func heldByAConnection() throws {
        let listener = try TestSocket(backlog: 1)
        let client = try TestSocket(connectedTo: listener.address)
        let (holder, taken, remote) = (try Child(socket: client.number), client.address, listener.address)
        _ = consume client
        let explanation = try explain(.tcp, taken)
        #expect(
            explanation.reason.text
                == "port \(taken.port!) is the local port of a connection of pid \(holder.pid) (cat) to "
                + remote.description.text)
    }

    @Test func goneMeanwhile() throws {
        let socket = try TestSocket(backlog: 1)
        let address = socket.address
        _ = consume socket
        let explanation = explainAddressInUse(BindAttempt(.tcp, address, isIPv6Only: false, uid: geteuid()))
        #expect(explanation.reason.text == "address already in use")
        #expect(explanation.remedy?.text == "whoever held it has gone meanwhile: try again")
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
                    let holder = try TestSocket(
                        kind, held, isIPv6Only: heldOnly, backlog: kind == .tcp ? 1 : nil)
                    let inode = holder.inode
                    let states: SocketStates = kind == .tcp ? .listening : .bound
                    let record = try #require(
                        try internetSockets(kind, states: states, localPort: holder.port)
                            .first { $0.inode == inode })
                    let address = wanted.with(port: holder.port)
                    let attempt = BindAttempt(kind, address, isIPv6Only: wantedOnly, uid: geteuid())
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
    ) throws -> (Child, SocketAddress) {
        let socket: TestSocket
        if let owner {
            // The owner of a socket is that of its inode.
            let made = try TestSocket(kind, address, shares: shares, backlog: nil)
            try checked(fchown(made.number, owner, owner))
            if kind == .tcp { try made.listenNow() }
            socket = made
        } else {
            socket = try TestSocket(kind, address, shares: shares, backlog: kind == .tcp ? backlog : nil)
        }
        return (try Child(socket: socket.number), socket.address)
    }

    /// Makes sure that the kernel refuses, as it does to the launcher, and explains.
    private func explain(_ kind: InternetProtocol, _ address: SocketAddress) throws -> Explanation {
        #expect(isInUse(kind, address, isIPv6Only: false))
        return explainAddressInUse(BindAttempt(kind, address, isIPv6Only: false, uid: geteuid()))
    }

    /// Binds as the launcher does.
    private func isInUse(_ kind: InternetProtocol, _ address: SocketAddress, isIPv6Only: Bool) -> Bool {
        do throws(Errno) {
            _ = try TestSocket(kind, address, shares: true, reusesAddress: kind == .tcp, isIPv6Only: isIPv6Only)
            return false
        } catch {
            #expect(error == .addressInUse)
            return true
        }
    }
}
