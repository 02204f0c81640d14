import Foundation
import Testing

@testable import ReusePortKit

/// What users read after typical mistakes: all of it, as Tests/Fixtures/mistakes.txt has it.
@Suite struct TypicalMistakesTests {
    /// Says each thing once, and what helps. To accept other words, copy them into the file, and review the change.
    @Test func messages() throws {
        let stage = try Stage(.privileged, settings: [])
        mkdir("\(stage.home)/private", 0o700)
        stage.box.write("\(stage.home)/app.js", Array("".utf8), mode: 0o644)
        _ = try Tool.require("python3")
        let file = try String(contentsOfFile: "\(Tool.package)/Tests/Fixtures/mistakes.txt", encoding: .utf8)
        var said = ""
        for line in file.components(separatedBy: "\n").dropLast() {
            guard line.hasPrefix("$ ") else {
                if line.isEmpty || line.hasPrefix("#") { said += line + "\n" }
                continue
            }
            said += line + "\n" + (try answer(to: String(line.dropFirst(2)), stage))
        }
        #expect(said == file)
    }

    private func answer(to line: String, _ stage: Stage) throws -> String {
        let options = "--run-dir HOME/run --log HOME/log --ready-timeout 5s"
        let typed = line.replacing("deploy web", with: "deploy web \(options)").replacing("HOME", with: stage.home)
        let folder = URL(fileURLWithPath: try stage.box.launcher()).deletingLastPathComponent().path
        let script = "PATH=\(folder):$PATH; cd \(stage.home) && \(typed)"
        let outcome = try stage.box.start(
            program: "/bin/sh", ["-c", ByteString(script)], environment: Sandbox.environment + [stage.mark],
            stage.asDeployer
        ).end()
        #expect(outcome.exit != 0, "\(line)")
        return outcome.errors.replacing(stage.home, with: "HOME").replacing(#/pid [0-9]+/#, with: "pid N")
    }
}
