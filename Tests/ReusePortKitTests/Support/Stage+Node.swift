import Foundation
import Testing

@testable import ReusePortKit

/// What talker.js has seen.
struct Talk: Decodable {
    let pid: pid_t
    let rss: Int
    let disconnects: Int
    let errors: Int
    let sent: Int
    let messages: [String]
    let number: Int32?
}

extension Stage {
    /// A program of Node's from Tests/Fixtures/targets.
    func script(_ name: String, _ words: [String]) throws -> [ByteString] {
        [ByteString(try Tool.require("node")), ByteString(try box.target(name))] + words.map { ByteString($0) }
    }

    /// A program that says that it is ready through its channel, and ends on "shutdown", but not on TERM unless it is
    /// mortal.
    func pm2(_ label: String, after milliseconds: Int = 30, isMortal: Bool = false) throws -> [ByteString] {
        try script("pm2.js", [label, "\(milliseconds)"] + (isMortal ? ["mortal"] : []))
    }

    /// Its worker asks for the port as a cluster's.
    func drover(_ label: String, _ more: [String] = []) throws -> [ByteString] {
        try script("drover.js", [label, site == .unix ? socketPath : "\(port)"] + more)
    }

    static let droverOptions: [ByteString] = ["--pass", "cluster", "--ready", "ipc", "--stop-message", "stop,quit"]

    func talk(_ path: ByteString = "/") throws -> Talk {
        let answer = try ask(path)
        guard let start = answer.firstIndex(of: "{"), let end = answer.lastIndex(of: "}") else {
            throw Unavailable(description: "answered \(answer)")
        }
        return try JSONDecoder().decode(Talk.self, from: Data(answer[start...end].utf8))
    }
}
