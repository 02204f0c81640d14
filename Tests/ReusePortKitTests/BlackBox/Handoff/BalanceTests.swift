import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// How the copies of a generation share its clients: with client-ip each stays with the copy of its number.
@Suite struct BalanceTests {
    private static let names = ["0", "1", "2", "3"]

    // MARK: - Through a handoff and a respawn

    @Test(arguments: Level.allCases, [Site.v4, .v6, .dualStack])
    func clientsStay(level: Level, site: Site) throws {
        let stage = try Stage(level, site, settings: [])
        let sticky: [ByteString] = ["--balance", "client-ip"]
        let old = try start(stage, "1", [0, 1, 2, 3], sticky)
        let first = try meetings(stage, old)
        for one in first {
            #expect(one.only != nil)
            // As strict as if each visit were a client of its own.
            #expect(one.chiSquare(Self.names) * Double(Crowd.visits) < 16.27)
        }
        // By whichever family it comes, an IPv4 client is the same one.
        if site == .dualStack { #expect(first[0] == first[1]) }

        // They come in another order.
        var new = try start(stage, "2", [2, 0, 3, 1], sticky)
        for process in old { #expect(try process.end().exit == 0) }
        try waitForHelpers(stage, new)
        #expect(try meetings(stage, new) == first, "handoff")

        let gone = try #require(new.firstIndex { $0.label == "1" })
        try crash(new.remove(at: gone).process)
        if level == .privileged {
            let moved = first.map { $0.moved(from: "1", to: "2") }
            #expect(try meetings(stage, new) == moved, "one is missing")
        }
        // It says nothing of it.
        new += try start(stage, "2", [1], [])
        try waitForHelpers(stage, new)
        #expect(try meetings(stage, new) == first, "respawn")
    }

    @Test(arguments: Level.allCases)
    func randomOnesDoNotStay(level: Level) throws {
        let stage = try Stage(level, settings: [])
        let copies = try start(stage, "1", [0, 1, 2, 3], ["--balance", "random"])
        for one in try meetings(stage, copies) { #expect(one.copies.allSatisfy { $0.count > 1 }) }
    }

    @Test(arguments: Level.allCases, ["cpu", "hash"])
    func othersAreDirected(level: Level, kind: String) throws {
        let stage = try Stage(level, settings: [])
        let copies = try start(stage, "1", [0, 1, 2, 3], ["--balance", ByteString(kind)])
        let met = try meetings(stage, copies, onOneProcessor: kind == "cpu").flatMap(\.copies)
        if kind == "hash" {
            #expect(Set(met.joined()) == Set(Self.names))
            // By the client's port as well.
            #expect(met.allSatisfy { $0.count > 1 })
        } else {
            #expect(Set(met.joined()).count == 1)
        }
    }

    /// Four copies by client-ip, of which the first is gone and its replacement is never ready; and what clients met
    /// when all were there.
    private func oneIsMissing(_ stage: Stage) throws -> (copies: [Copy], stuck: Running, first: [Meetings]) {
        var copies = try start(stage, "1", [0, 1, 2, 3], ["--balance", "client-ip"])
        try waitForHelpers(stage, copies)
        let first = try meetings(stage, copies)
        try crash(copies.removeFirst().process)
        let stuck = try stage.start(
            "1", copies: 4, copy: 0, variables: ["SAMPLE_BOOT_MS=600000"], command: try stage.sampleServer("0"))
        try waitUntil("its helper") { try stage.helper(of: stuck.pid) != nil }
        return (copies, stuck, first)
    }

    /// From the moment on when a replacement listens, nobody waits for it.
    @Test(arguments: Level.allCases)
    func aReplacementGetsNothingBeforeItIsReady(level: Level) throws {
        let stage = try Stage(level, settings: [])
        var (copies, stuck, first) = try oneIsMissing(stage)
        let others = first.map { $0.moved(from: "0", to: "1") }
        #expect(try meetings(stage, copies) == others)

        try crash(stuck)
        copies += try start(stage, "1", [0], [])
        try waitForHelpers(stage, copies)
        #expect(try meetings(stage, copies) == first)
    }

    /// A copy that joined, and fails before it is ready, takes others' places with it.
    @Test(arguments: Level.allCases)
    func aFailedReplacementChangesNothing(level: Level) throws {
        let stage = try Stage(level, settings: [])
        var (copies, stuck, first) = try oneIsMissing(stage)
        // Another one joins behind it.
        try crash(copies.removeFirst().process)
        copies += try start(stage, "1", [1], [])
        try waitForHelpers(stage, copies)
        let helper = try #require(try stage.helper(of: stuck.pid))
        try crash(stuck)
        try waitUntil("its helper has gone") { startTime(of: helper.pid) != helper.start }
        let others = first.map { $0.moved(from: "0", to: "1") }
        #expect(try meetings(stage, copies) == others)
    }

    // MARK: - Who decides

    @Test(arguments: Level.allCases)
    func theFirstCopyDecides(level: Level) throws {
        let stage = try Stage(level, settings: [])
        let copies = try start(stage, "1", [0, 1, 2, 3], ["--balance", "client-ip"])
        let first = try meetings(stage, copies)
        try crash(copies[3].process)
        let other = try stage.start("1", copies: 4, copy: 3, ["--balance", "random"])
        let outcome = try other.end()
        #expect(outcome.exit == 100)
        #expect(outcome.errors.contains("its copies have --balance client-ip, this one says random"))

        // A new generation that fails has changed nothing; one that takes over has its own.
        let failing = try stage.start(
            "2", ["--balance", "random"], command: [ByteString("/bin/sh"), "-c", "exit 3"])
        #expect(try stage.wait(["--pid", ByteString(decimal: failing.pid)]).exit == 1)
        let all = Array(copies[..<3]) + (try start(stage, "1", [3], ["--balance", "client-ip"]))
        try waitForHelpers(stage, all)
        #expect(try meetings(stage, all) == first)
        let third = try start(stage, "3", [0, 1, 2, 3], [])
        try waitForHelpers(stage, third)
        for one in try meetings(stage, third) { #expect(one.copies.allSatisfy { $0.count > 1 }) }
    }

    // MARK: - Fewer copies

    /// Those that are left get everything, and the others can be stopped at leisure.
    @Test(arguments: Level.allCases)
    func narrowed(level: Level) throws {
        let stage = try Stage(level, settings: [])
        let copies = try start(stage, "1", [0, 1, 2, 3], ["--balance", "client-ip"])
        try waitForHelpers(stage, copies)
        let directory = stage.runDirectory
        let deployer = stage.deployer
        try SteerThread.inNetwork(of: try #require(stage.network).pid) {
            // Of this thread alone.
            if let deployer {
                for change in [SYS_setresgid, SYS_setresuid] {
                    try checked(clinux_syscall(Int(change), Int(deployer), Int(deployer), Int(deployer), 0, 0, 0))
                }
            }
            let registry = try Registry.open("web", in: directory, create: false)!
            let lock = try registry.lock(until: Deadline(after: .seconds(20)))
            let state = AppState.reconciled(registry)
            try state.shrink(state.app.live!, to: 2)
            try state.store(in: registry)
            lock.release(closing: ())
        }
        for one in try meetings(stage, copies) {
            #expect(one.only != nil)
            #expect(Set(one.copies.joined()) == ["0", "1"])
            #expect(one.chiSquare(["0", "1"]) < 10.83)
        }
        for copy in copies[2...] { #expect(kill(copy.process.pid, 0) == 0) }
    }

    // MARK: - The stage

    private struct Copy {
        let label: String
        let process: Running
        func end() throws -> Outcome { try process.end() }
    }

    /// Starts copies of a generation of four, and waits until each has taken its place.
    private func start(
        _ stage: Stage, _ generation: String, _ numbers: [Int], _ options: [ByteString]
    ) throws -> [Copy] {
        let copies = try numbers.map { number in
            Copy(
                label: "\(number)",
                process: try stage.start(
                    generation, copies: 4, copy: number, options, command: try stage.sampleServer("\(number)")))
        }
        for copy in copies {
            let outcome = try stage.wait(["--pid", ByteString(decimal: copy.process.pid)])
            if outcome.exit != 0 {
                for copy in copies { copy.process.kill() }
                throw Unavailable(description: "\(outcome.errors); \(try copies.map { try $0.end().errors })")
            }
        }
        return copies
    }

    private func waitForHelpers(_ stage: Stage, _ copies: [Copy]) throws {
        for copy in copies {
            try waitUntil("the helper has gone") { try stage.helper(of: copy.process.pid) == nil }
        }
    }

    /// Nobody tells the registry.
    private func crash(_ process: Running) throws {
        process.kill()
        _ = try process.end()
    }

    /// Which copies the crowds that can reach the site meet, by the labels in their answers.
    private func meetings(_ stage: Stage, _ copies: [Copy], onOneProcessor: Bool = false) throws -> [Meetings] {
        let crowds: [Crowd]
        switch stage.site {
        case .v4, .unix: crowds = [.lastByte]
        case .v6: crowds = [.interface]
        case .dualStack: crowds = [.lastByte, .mapped, .interface]
        }
        let port = stage.port
        let result = try SteerThread.inNetwork(of: try #require(stage.network).pid) {
            if onOneProcessor {
                // sched_setaffinity(2) of this thread: a loopback packet is received where it was sent.
                var first: UInt64 = 1
                try withUnsafePointer(to: &first) {
                    _ = try checked(clinux_syscall(Int(SYS_sched_setaffinity), 0, 8, Int(bitPattern: $0), 0, 0, 0))
                }
            }
            return try crowds.map { crowd in
                Meetings(
                    copies: try crowd.hosts.map { host in
                        try Set((0..<Crowd.visits).map { _ in try BalanceTests.label(from: host, port) }).sorted()
                    })
            }
        }
        let labels = Set(copies.map(\.label))
        for one in result { #expect(labels.isSuperset(of: one.copies.joined())) }
        return result
    }

    /// What the server that answers this client calls itself.
    private static func label(from host: TestHost, _ port: UInt16) throws -> String {
        let client = try #require(try clients(1, to: port, from: host).first)
        let request = Array("GET /brief HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".utf8)
        try checked(send(client.number, request, request.count, Int32(MSG_NOSIGNAL)))
        var answer: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = try checked(recv(client.number, &buffer, buffer.count, 0))
            if count == 0 { break }
            answer += buffer[..<count]
        }
        for line in String(decoding: answer, as: UTF8.self).split(whereSeparator: \.isNewline)
        where line.hasPrefix("label: ") {
            return String(line.dropFirst(7))
        }
        throw Unavailable(description: "no label in \(String(decoding: answer, as: UTF8.self))")
    }
}
