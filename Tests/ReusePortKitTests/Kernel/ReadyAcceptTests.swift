import CLinux
import Testing

@testable import ReusePortKit

struct ReadyAcceptTests {
    private func accept(_ listener: borrowing ReadyListener) throws -> Descriptor {
        Descriptor(owning: try checked(accept4(listener.socket.number, nil, nil, Int32(SOCK_CLOEXEC.rawValue))))
    }

    /// Once it is no longer `before`: what is sent over the loopback may be under way for a moment.
    private func state(
        _ probe: borrowing Descriptor, _ kind: ReadyAddress, after before: Acceptance = .connecting
    ) throws -> Acceptance {
        var state = before
        try waitUntil("another state than \(before)") {
            state = try acceptance(of: probe, DiagnosticSocket())
            return state != before && state != .connecting && state != .held
        }
        return state
    }

    /// Others that wait in the queue before and behind the probe change nothing.
    @Test(arguments: ReadyAddress.allCases) func probeIsToldFromOthers(kind: ReadyAddress) throws {
        let listener = try ReadyListener(kind)
        let before = try listener.connect()
        let probe = try listener.connect()
        let behind = try listener.connect()
        #expect(try state(probe, kind) == .waiting)
        let first = try accept(listener)
        #expect(try state(before, kind) == .accepted)
        #expect(try state(probe, kind) == .waiting)
        let second = try accept(listener)
        #expect(try state(probe, kind) == .accepted)
        #expect(try state(behind, kind) == .waiting)
        _ = (first.number, second.number)
    }

    private func drop(_ listener: consuming ReadyListener) {}

    /// Closed by the server, it has been accepted; reset with the queue, it has not.
    @Test(arguments: ReadyAddress.allCases) func endOfProbe(kind: ReadyAddress) throws {
        var listeners = OwnedArray<ReadyListener>()
        listeners.append(try ReadyListener(kind))
        let closed = try listeners[0].connect()
        let queued = try listeners[0].connect()
        _ = try accept(listeners[0])
        #expect(try state(closed, kind) == .accepted)
        #expect(try state(queued, kind) == .waiting)
        drop(listeners.remove(at: 0))
        #expect(try state(closed, kind) == .accepted)
        #expect(try state(queued, kind, after: .waiting) == .broken(Errno(rawValue: ECONNRESET)))
    }

    /// A program that serves one client at a time, to its end, on one listener after the other.
    private static func serve(_ numbers: String) -> String {
        """
        import socket
        listeners = [socket.socket(fileno=n) for n in (\(numbers),)]
        while True:
            for listener in listeners:
                client, _ = listener.accept()
                client.recv(1)
                client.close()
        """
    }

    @Test(arguments: ReadyAddress.allCases) func accepted(kind: ReadyAddress) throws {
        let listener = try ReadyListener(kind)
        let copy = try ReadyCopy(python: Self.serve("3"), descriptors: [3: listener.socket.number])
        #expect(try readyProblem(.accept, copy, listeners: [listener.identity]) == nil)
    }

    @Test func allListenersInAnyOrder() throws {
        let first = try ReadyListener(.v4, name: "a")
        let second = try ReadyListener(.unix, name: "b")
        let copy = try ReadyCopy(
            python: Self.serve("3, 4"), descriptors: [3: first.socket.number, 4: second.socket.number])
        let log = try ReadyLog()
        let udp = ListenerIdentity(
            name: "dns", transport: .udp, address: .ipv4(0x7F00_0001, port: 53), isDualStack: false, cookie: 1)
        #expect(
            try readyProblem(.accept, copy, listeners: [first.identity, udp, second.identity], log: log.log) == nil)
        let text = log.text()
        #expect(text.contains("a (") && text.contains("b (") && !text.contains("dns"))
    }

    /// TCP_DEFER_ACCEPT, as some web servers set it.
    @Test func deferred() throws {
        let listener = try ReadyListener(.v4)
        try setOption(listener.socket, Int32(IPPROTO_TCP), TCP_DEFER_ACCEPT, 600)
        let copy = try ReadyCopy(python: Self.serve("3"), descriptors: [3: listener.socket.number])
        #expect(try readyProblem(.accept, copy, listeners: [listener.identity]) == nil)
    }

    @Test func resetIsTriedAgain() throws {
        let listener = try ReadyListener(.v4)
        let identity = listener.identity
        let copy = try ReadyCopy(python: Self.serve("3"), descriptors: [3: listener.socket.number])
        var calls = 0
        let channel = try ReadinessChannel.make(.accept)
        let problem = readyProblem(.accept, copy, channel, [identity], .seconds(60), readySilence) {
            (_: Int) throws(Failure) -> Descriptor in
            calls += 1
            if calls > 1 { return try connectToListener(identity) }
            return try self.resetConnection()
        }
        #expect(problem == nil)
        #expect(calls == 2)
    }

    /// In the queue of a listener that has been closed.
    private func resetConnection() throws(Failure) -> Descriptor {
        do {
            return try ReadyListener(.v4).connect()
        } catch {
            throw Failure(.system, "make", "listener", "see the other tests")
        }
    }

    @Test func neverAccepted() throws {
        let listener = try ReadyListener(.v4)
        let copy = try ReadyCopy(shell: "exec sleep 600", descriptors: [3: listener.socket.number])
        let problem =
            try readyProblem(
                .accept, copy, listeners: [listener.identity], within: Milliseconds(300)) ?? ""
        #expect(problem.hasPrefix("not ready after "))
        #expect(problem.contains(" ms: the probe of web (127.0.0.1:"))
        #expect(problem.hasSuffix("was not accepted"))
    }

    /// The listener is gone, and the copy is not.
    @Test func listenerClosed() throws {
        let identity = try ReadyListener(.v4).identity
        let copy = try ReadyCopy(shell: "exec sleep 600")
        let problem = try readyProblem(.accept, copy, listeners: [identity], within: Milliseconds(300)) ?? ""
        #expect(problem.hasSuffix("is not listened to"))
    }

    @Test func connectFailureIsFinal() throws {
        let listener = try ReadyListener(.v4)
        let copy = try ReadyCopy(shell: "exec sleep 600", descriptors: [3: listener.socket.number])
        let channel = try ReadinessChannel.make(.accept)
        let problem = readyProblem(.accept, copy, channel, [listener.identity], .seconds(60), readySilence) {
            (_: Int) throws(Failure) -> Descriptor in
            throw Failure(.negative, "steer", "probe", "refused")
        }
        #expect(problem == "unable to steer probe: refused")
    }
}
