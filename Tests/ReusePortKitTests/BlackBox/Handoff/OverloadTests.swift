import Foundation
import Testing

@testable import ReusePortKit

/// More connections than the old copy's queue has room for: it stands still, as if it could not keep up.
@Suite struct OverloadTests {
    /// `net.core.somaxconn`: the queue holds one more.
    private static let room = 16

    private func stage(_ level: Level, resets: Bool = false) throws -> Stage {
        let settings = ["net/core/somaxconn=\(Self.room)", "net/ipv4/tcp_abort_on_overflow=\(resets ? 1 : 0)"]
        return try Stage(level, settings: settings)
    }

    private func fillQueue(_ stage: Stage) throws -> Running {
        let clients = try stage.startClients(60)
        try waitUntil("a queue that is full") { try stage.queuedThere() > Self.room }
        try waitUntil("connections for which there is no room") { try stage.count("ListenDrops") > 0 }
        return clients
    }

    private func report(_ clients: Running) throws -> Report {
        var report = Report()
        try report.add(try clients.end().output)
        return report
    }

    /// Those for which there is no room try again, and reach the new one.
    @Test(arguments: Level.allCases)
    func allAreServed(level: Level) throws {
        let stage = try stage(level)
        let old = try stage.handOver("1")
        old[0].signal(SIGSTOP)
        let clients = try fillQueue(stage)
        let new = try stage.handOver("2")
        let report = try report(clients)
        #expect(report.lost == 0 && report.requests >= 60, "\(report.summary)")
        _ = try old[0].end()
        new[0].signal(SIGTERM)
        _ = try new[0].end()
    }

    @Test func withoutHelpTheQueueIsLost() throws {
        let stage = try stage(.ordinary)
        let old = try stage.startPlain("1")
        old.signal(SIGSTOP)
        let clients = try fillQueue(stage)
        let new = try stage.startPlain("2")
        old.signal(SIGKILL)
        _ = try old.end()
        let report = try report(clients)
        #expect(report.lost > 0, "\(report.summary)")
        new.signal(SIGTERM)
        _ = try new.end()
    }

    /// Handshakes that end when there is no room: the clients' requests are passed over until there is, unless the
    /// kernel is told to reset them.
    @Test(arguments: [false, true])
    func handshakesThatEndThen(resets: Bool) throws {
        let stage = try stage(.privileged, resets: resets)
        let ready: [ByteString] = ["--ready", "http:http:/"]
        let command = try stage.python("deferred.py", ["{fd:http}", "1"])
        let old = try stage.handOver("1", ready, command: command)
        let count = 8
        let address = stage.addresses[0].text.split(separator: ":").map { ByteString(String($0)) }
        let words = try stage.python("half_open.py", address + [ByteString(decimal: count)])
        let halfOpen = try stage.box.start(program: words[0].text, Array(words.dropFirst()), stage.inNetwork)
        try halfOpen.waitFor("open")
        old[0].signal(SIGSTOP)
        let clients = try fillQueue(stage)
        let before = try stage.count("ListenOverflows")
        halfOpen.signal(SIGUSR1)
        try waitUntil("requests for which there is no room") { try stage.count("ListenOverflows") >= before + count }
        _ = try stage.handOver("2", ready, command: command)
        let answered = try halfOpen.end().output.text
        #expect(answered.hasSuffix("answered \(resets ? 0 : count)\n"), "\(answered)")
        // The others end their handshakes as these do.
        let report = try report(clients)
        if !resets { #expect(report.lost == 0, "\(report.summary)") }
        _ = try old[0].end()
    }
}

extension Stage {
    private func table(_ name: String) throws -> [[Substring]] {
        try String(contentsOfFile: "/proc/\(network!.pid)/net/\(name)", encoding: .utf8)
            .split(separator: "\n").map { $0.split(separator: " ") }
    }

    /// How many connections wait at the listeners of the stage's network.
    fileprivate func queuedThere() throws -> Int {
        // TCP_LISTEN, and the lengths of the queues.
        try table("tcp").filter { $0.count > 4 && $0[3] == "0A" }
            .reduce(0) { $0 + (Int($1[4].split(separator: ":")[1], radix: 16) ?? 0) }
    }

    /// One of the kernel's counters in the stage's network.
    fileprivate func count(_ name: Substring) throws -> Int {
        let lines = try table("netstat").filter { $0.first == "TcpExt:" }
        guard lines.count == 2, let place = lines[0].firstIndex(of: name) else { return 0 }
        return Int(lines[1][place]) ?? 0
    }
}
