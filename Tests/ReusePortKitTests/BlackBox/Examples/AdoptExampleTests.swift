import Foundation
import Testing

@testable import ReusePortKit

/// The examples of servers that bind by themselves.
@Suite struct AdoptExampleTests {
    @Test func node() throws {
        _ = try Tool.require("node")
        try ExampleStage("adopt/node-listen.js").prove()
    }

    static func java() throws -> ExampleStage {
        _ = try Tool.require("javac")
        return try ExampleStage("adopt/WebServer.java")
    }

    static func webrick() throws -> ExampleStage {
        _ = try Tool.require("ruby")
        return try ExampleStage("adopt/webrick.rb")
    }

    static func puma() throws -> ExampleStage {
        _ = try Tool.require("puma")
        return try ExampleStage("adopt/puma.ru")
    }

    @Test func java() throws { try AdoptExampleTests.java().prove() }

    @Test func webrick() throws { try AdoptExampleTests.webrick().prove() }

    @Test func puma() throws { try AdoptExampleTests.puma().prove() }

    @Test func php() throws {
        _ = try Tool.require("php")
        try ExampleStage("adopt/server.php").prove()
    }

    /// http.server as it is shows a folder, and nothing of that takes long.
    @Test func pythonHTTPServer() throws {
        _ = try Tool.require("python3")
        let example = try ExampleStage("adopt/grace.sh", slow: nil)
        example.box.write("examples/adopt/index.html", "pid: unknown\n")
        try example.prove()
    }

    // MARK: Controls

    enum Control: CaseIterable { case java, webrick, puma }

    /// The same programs, told to stop in the same way and started again, as without a launcher: clients are lost.
    @Test(arguments: Control.allCases) func restarted(control: Control) throws {
        let example =
            switch control {
            case .java: try AdoptExampleTests.java()
            case .webrick: try AdoptExampleTests.webrick()
            case .puma: try AdoptExampleTests.puma()
            }
        try example.prepare()
        #expect(try example.restart(times: 2).lost > 0)
    }
}
