import Foundation
import Testing

@testable import ReusePortKit

/// What the tables in docs/ say of other tools, done as their right column says it.
extension Stage {
    /// Deploys a program that people had under another tool, and deploys it again under load: nobody loses anything.
    /// The control is in DeployLossTests and LossTests: copies that end without help, under the same load.
    func expectHandovers(
        copies: Int = 2, times: Int = 3, _ options: [ByteString] = [], command: [ByteString],
        _ location: SourceLocation = #_sourceLocation
    ) throws {
        try deploy(nil, copies: copies, options, command: command, location)
        let load = try Load(self)
        for _ in 0..<times { try change(["migrate", "web"]) }
        let report = try load.stop()
        #expect(report.lost == 0, "\(report.summary)", sourceLocation: location)
        #expect(report.byPID.count > times, "\(report.byPID)", sourceLocation: location)
        try expectOldEnded(times, location)
    }

    /// Nothing is left of so many generations, and none of them had to be killed.
    func expectOldEnded(_ count: Int, _ location: SourceLocation = #_sourceLocation) throws {
        let live = try pids()
        try waitUntil("nothing runs but \(live) and what they have started") {
            marked().allSatisfy { live.contains($0.pid) || live.contains(parent(of: $0.pid)) }
        }
        let old = try generations().filter { $0.state == "ended" }
        #expect(old.count == count, sourceLocation: location)
        for copy in old.flatMap(\.copies) {
            #expect(!copy.reason.contains("killed"), "\(copy.reason)", sourceLocation: location)
        }
    }

    /// A file of the package, where every user can read it.
    func script(_ path: String) throws -> ByteString {
        let name = path.split(separator: "/").last!
        let copy = box["\(name)"]
        box.write(copy, [UInt8](try Data(contentsOf: URL(fileURLWithPath: "\(Tool.package)/\(path)"))), mode: 0o755)
        return ByteString(copy)
    }
}

/// A file of this package.
func document(_ path: String) throws -> String {
    try String(contentsOfFile: "\(Tool.package)/\(path)", encoding: .utf8)
}

/// The pages of the manual, as paths in this package.
let manualPages: [String] =
    ((try? FileManager.default.contentsOfDirectory(atPath: "\(Tool.package)/man")) ?? []).sorted().map { "man/\($0)" }

/// All of them, one after the other.
func manual() throws -> String { try manualPages.map(document).joined() }
