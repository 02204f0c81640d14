import CLinux
import Testing

@testable import ReusePortKit

/// Generations through the adapter of the registry, without one and without programs: copies with listeners of their
/// own, and copies that share one.
@Suite(.enabled(if: SteerPrivilege.isHeld, SteerPrivilege.reason)) struct SteerSharedListenerTests {
    private struct Stage: ~Copyable {
        var state = AppState(app: AppRecord(), copies: [])
        let port: UInt16
        private let steering: SteeringChoice

        init(_ steering: SteeringChoice, port: UInt16) {
            self.steering = steering
            self.port = port
        }

        /// A generation whose copies have these sockets, one each, listens and takes over.
        mutating func handOver(to listeners: [TestSocket], bank: Bank) throws {
            let order = state.app.lastID + 1
            state.app.lastID = order
            state.app.generations.append(
                GenerationRecord(
                    id: order, label: ByteString(decimal: order), copies: listeners.count, bank: bank,
                    state: .starting, since: 1))
            for (number, socket) in listeners.enumerated() {
                let own = try [listener(socket)]
                let held = try placements(socket)
                if number == 0 { try state.prepareToListen(own) }
                try socket.listen()
                if number == 0 {
                    let report = try state.attach("web", steering, for: order, own, held: held)
                    #expect(report.foreign.isEmpty)
                } else {
                    try state.noteJoined(own)
                }
                state.replace(
                    CopyRecord(
                        generation: order, copy: number, process: try ProcessIdentity(of: getpid()), helper: nil,
                        state: .ready, since: 1, listeners: own, supervisor: nil, stopSignal: SIGTERM,
                        stopTimeout: .seconds(1), nice: nil))
            }
            let generation = try #require(state.app.generation(order))
            let all = state.listeners(of: generation)
            for (copy, socket) in zip(state.copies(of: order), listeners) {
                try state.place(copy, of: all, held: placements(socket))
            }
            try state.cutOver(to: generation, [listener(listeners[0])], held: placements(listeners[0]))
            state.makeLive(order)
        }

        func listener(_ socket: TestSocket) throws -> Listener {
            Listener(
                identity: ListenerIdentity(
                    name: "http", transport: .tcp, address: .ipv4(0x7F00_0001, port: port), isDualStack: false,
                    cookie: try socket.cookie))
        }

        func placements(_ socket: TestSocket) throws -> OwnedArray<Placement> {
            var result = OwnedArray<Placement>()
            result.append(Placement(source: try socket.descriptor.duplicate(), target: 3))
            return result
        }
    }

    /// Members of one group that do not listen yet.
    private func bound(_ names: String...) throws -> [TestSocket] {
        var result: [TestSocket] = []
        for name in names { result.append(try member(name, port: result.first?.port ?? 0, listening: false)) }
        return result
    }

    @Test(arguments: [SteeringChoice.ebpf, .cbpf])
    func twoCopiesWithOneListener(choice: SteeringChoice) throws {
        let old = try bound("blue 0", "blue 1")
        var stage = Stage(choice, port: try old[0].port)
        try stage.handOver(to: old, bank: .first)
        #expect(stage.state.app.steering?.name == choice.name)
        var waiting = try clients(40, to: stage.port)
        #expect(try Set(arrivals(40, at: old).keys) == ["blue 0", "blue 1"])

        let shared = try member("green", port: stage.port, listening: false)
        let all = old + [shared]
        try stage.handOver(to: [shared, shared], bank: .second)
        let live = try #require(stage.state.app.live)
        #expect(live.id == 2)
        #expect(stage.state.listeners(of: live).slots == 1)
        func onlyGreenGetsConnections(_ location: SourceLocation = #_sourceLocation) throws {
            waiting = try clients(40, to: stage.port)
            #expect(try arrivals(40, at: all) == ["green": 40], sourceLocation: location)
        }
        try onlyGreenGetsConnections()

        // A private connection finds it beside the live ones.
        let next = try member("next", port: stage.port)
        let probe = try stage.state.probe(stage.listener(next), held: next.descriptor)
        #expect(try arrivals(1, at: all + [next]) == ["next": 1])
        _ = consume probe
        try next.close()
        try stage.state.rollBack()

        // They are stopped together, and one of them may go: the listener is the other's.
        #expect(stage.state.stopBatches(stage.state.copies(of: 2)).map { $0.map { $0.copy } } == [[0, 1]])
        try stage.state.withdraw([stage.state.copies(of: 2)[0]])
        try onlyGreenGetsConnections()
        try stage.state.shrink(live, to: 1)
        try onlyGreenGetsConnections()
        try stage.state.grow(
            #require(stage.state.app.live), by: stage.state.copies(of: 2)[1], held: stage.placements(shared))
        #expect(stage.state.app.live?.copies == 2)
        try onlyGreenGetsConnections()

        // Without the old ones as well, whatever place it gets.
        for (number, socket) in old.enumerated().reversed() {
            #expect(stage.state.havePlace([stage.state.copies(of: 1)[number]]) == (choice == .cbpf))
            try socket.close()
            try stage.state.rollBack([stage.listener(shared)], held: stage.placements(shared))
        }
        waiting = try clients(10, to: stage.port)
        #expect(try arrivals(10, at: [shared]) == ["green": 10])
        #expect(waiting.count == 10)
    }

    /// Copies that are withdrawn leave their share to the others; with the generation smaller, so do those beyond it.
    @Test(arguments: [SteeringChoice.ebpf, .cbpf])
    func fourCopiesWithListenersOfTheirOwn(choice: SteeringChoice) throws {
        let copies = try bound("0", "1", "2", "3")
        var stage = Stage(choice, port: try copies[0].port)
        try stage.handOver(to: copies, bank: .second)
        func came() throws -> Set<String> {
            let waiting = try clients(100, to: stage.port)
            let names = try Set(arrivals(waiting.count, at: copies).keys)
            return names
        }
        #expect(try came() == ["0", "1", "2", "3"])
        try stage.state.withdraw([stage.state.copies[1]])
        #expect(try came() == ["0", "2", "3"])
        try stage.state.shrink(#require(stage.state.app.live), to: 3)
        #expect(try came() == ["0", "2"])
        try stage.state.grow(
            #require(stage.state.app.live), by: stage.state.copies[3], held: stage.placements(copies[3]))
        #expect(try came() == ["0", "2", "3"])
    }

    @Test func automaticFallsBackAndSaysWhy() throws {
        let (name, reason) = try SteerThread.unprivileged { () -> (ByteString?, ByteString?) in
            let socket = try member("0")
            let stage = Stage(.automatic, port: try socket.port)
            var steering: Steering?
            let request = SteeringRequest(
                app: "web", choice: .automatic, balance: .random, live: nil, nextBank: .first, known: [],
                isInUse: false)
            let report = try Steering.attach(
                &steering, request, [stage.listener(socket)], held: stage.placements(socket))
            return (steering?.name, report.fallback?.message)
        }
        #expect(name == "cbpf")
        #expect(reason?.text.contains("the maps of app web") == true)
    }

    /// What shares the address although no app knows it is live until the cutover, and told of.
    @Test func foreignServersServeUntilTheCutover() throws {
        let foreign = try member("foreign")
        let port = try foreign.port
        let own = try member("own", port: port)
        let stage = Stage(.ebpf, port: port)
        var steering: Steering?
        let request = SteeringRequest(
            app: "web", choice: .ebpf, balance: .random, live: nil, nextBank: .first, known: [try own.cookie],
            isInUse: false)
        let report = try Steering.attach(&steering, request, [stage.listener(own)], held: stage.placements(own))
        #expect(try report.foreign.map { $0.record.cookie } == [foreign.cookie])
        #expect(report.foreign.first?.holder.process.pid == getpid())
        #expect(steering?.liveBank == .bank(.second))
        let waiting = try clients(20, to: port)
        #expect(try arrivals(20, at: [foreign, own]) == ["foreign": waiting.count])
    }
}
