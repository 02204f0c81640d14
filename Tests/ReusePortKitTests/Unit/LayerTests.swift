import Foundation
import Testing

/// scripts/layers.sh, on made-up sources in folders named like the real layers.
@Suite struct LayerTests {
    /// Writes the files and runs the script on their folder.
    private func check(_ files: [String: String]) throws -> Outcome {
        let sandbox = Sandbox()
        for (path, content) in files {
            let file = URL(fileURLWithPath: sandbox["Sources/\(path)"])
            try FileManager.default.createDirectory(
                at: file.deletingLastPathComponent(), withIntermediateDirectories: true)
            sandbox.write("Sources/\(path)", content)
        }
        return try Sandbox.plainRun(["\(Tool.package)/scripts/layers.sh", sandbox["Sources"]])
    }

    private let clean = [
        "System/Calls/Open.swift": "func open() {}",
        "Launch/Start.swift": "func start() { open() }",
        "Steering/Attach.swift": "func attach() { open() }",
        "Registry/Record.swift": "func record() { start(); attach() }",
        "Run.swift": "func run() { record() }",
    ]

    @Test func saysNothingOfCleanLayers() throws {
        let outcome = try check(clean)
        #expect(outcome.exit == 0)
        #expect(outcome.output == "")
        #expect(outcome.errors == "")
    }

    @Test(
        arguments: [
            ("System", "Calls/Open.swift", "func open() { record() }", "record"),
            ("Launch", "Start.swift", "func start() {\n    attach()\n}", "attach"),
            ("Registry", "Record.swift", "func record() { run() }", "run"),
        ])
    func findsUseOfHigherLayer(layer: String, path: String, content: String, name: String) throws {
        let outcome = try check(clean.merging(["\(layer)/\(path)": content]) { $1 })
        #expect(outcome.exit == 1)
        let line = content.split(separator: "\n").count == 1 ? 1 : 2
        #expect(outcome.errors.hasPrefix("layers: \(layer) uses what stands above it: "))
        #expect(outcome.errors.contains("\(layer)/\(path):\(line): cannot find '\(name)' in scope\n"))
        // The layers above it see both, and are not reported as well.
        #expect(outcome.errors.split(separator: "\n").count == 1)
    }

    @Test func refusesFolderThatIsNotListed() throws {
        let outcome = try check(clean.merging(["Helpers/Help.swift": "func help() {}"]) { $1 })
        #expect(outcome.exit == 1)
        #expect(outcome.errors == "layers: Helpers is not in the list of layers: add it to scripts/layers.sh\n")
    }
}
