import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// `list` has a line for each app, with what an operator has to know; `state` says how it was deployed.
@Suite struct ListTests {
    private func lines(_ stage: Stage, _ options: [ByteString] = []) throws -> [String] {
        let outcome = try stage.verb("list", options)
        #expect(outcome.exit == 0 && outcome.errors == "", "\(outcome.errors)")
        try #require(outcome.output.text.contains("\nweb"), "\(outcome.output.text)")
        return outcome.output.text.split(separator: "\n").map(String.init)
    }

    @Test(arguments: Level.allCases)
    func lineOfAnApp(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("blue", copies: 2)
        try stage.deploy("green", copies: 2, ["--socket", "admin:unix:\(stage.home)/{copy}.sock"])
        let shown = try lines(stage)
        try #require(shown.count == 2)
        #expect(shown[1].contains(#/^web +green +2\/2 +127\.0\.0\.1:\d+ \+1 +nobody +\d+s +0$/#), "\(shown)")
        let wide = try lines(stage, ["--wide"])
        #expect(wide[1].contains(#/ \d+s +0 +[1-9]\d*M +\d+s$/#), "\(wide)")
        for options in [["web"], ["--all"]] as [[ByteString]] {
            let all = try lines(stage, options)
            try #require(all.count == 3)
            #expect(all.count == 3 && all[1].contains(#/^web +blue +ended +0\/2 +\d+s ago /#), "\(all)")
            #expect(all[2].contains(#/^web +green +live +2\/2 +\d+s$/#), "\(all)")
        }
    }

    /// One that has fallen is named, with what starts it again.
    @Test func fallenCopy() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", copies: 2)
        kill(try stage.pid(1), SIGKILL)
        try waitUntil("it has ended") { try stage.live().count == 1 }
        let shown = try lines(stage)
        #expect(shown[1].contains(" 1/2 ") && shown[1].contains("copy 1: "), "\(shown)")
        #expect(shown[1].hasSuffix("; scale web 2 starts it again"), "\(shown)")
        #expect(shown[1].contains(#/ nobody +\d+s +1 +copy 1: /#), "\(shown)")
        try stage.change(["scale", "web", "2"])
        // One that was told to stop has not fallen.
        for count in ["4", "1", "2"] as [ByteString] { try stage.change(["scale", "web", count]) }
        try stage.change(["restart", "web"])
        let healthy = try lines(stage)
        #expect(healthy[1].contains(#/ 2\/2 .* nobody +\d+s +0$/#), "\(healthy)")
        #expect(try !lines(stage)[1].contains("copy 1"))
        try stage.change(["suspend", "web", "--in-place"])
        #expect(try lines(stage)[1].hasSuffix("suspended: connections wait until resume"))
        try stage.change(["terminate", "web"])
        let ended = try lines(stage)
        #expect(ended[1].contains(#/^web +- +0 .* 1 ended \d+s ago: ended by terminate/#), "\(ended)")
    }

    @Test func howItWasDeployed() throws {
        let stage = try Stage(.ordinary)
        try stage.deploy("1", variables: ["COLOR=blue"])
        let said = try stage.launch(["state", "web", "--run-dir", stage.runDirectory]).end().output.text
        let command = quoted(try stage.sampleServer("1")).replacing("'", with: "")
        #expect(said.contains("command      \(command)"), "\(said)")
        #expect(said.contains(#/directory +\//#) && said.contains(#/log +\/.*\/web\.log/#), "\(said)")
        #expect(said.contains(#/environment +differs from this shell's in COLOR\n/#), "\(said)")
        #expect(!said.contains("\n  options"), "\(said)")
        let options: [ByteString] = ["--env", "TOKEN=secret", "--settle", "10ms"]
        try stage.deploy("2", options)
        let more = try stage.launch(["state", "web", "--run-dir", stage.runDirectory]).end().output.text
        #expect(more.contains(#/options +--env TOKEN=\.\.\. --settle 10ms/#), "\(more)")
        let json = try stage.verb("state", ["web", "--json"]).output.text
        let server = try stage.sampleServer("2")[0].text
        #expect(json.contains("\"command\":[\"\(server)\",\"2\"]"), "\(json)")
        #expect(json.contains(Tool.isRoot ? "\"user\":\"nobody\"" : "\"user\":"), "\(json)")
    }

    @Test func whatIsNotShown() throws {
        let box = Sandbox()
        let home = box.makeDirectory("home", owner: 65534)
        let environment = Sandbox.environment + [ByteString("XDG_RUNTIME_DIR=\(home)"), ByteString("HOME=\(home)")]
        let outcome = try box.run(["list"], environment: environment, Tool.isRoot ? [.user(65534, 65534)] : [])
        #expect(outcome.exit == 0 && outcome.output.text.contains("Apps of root and of other users are not shown; "))
    }

    @Test func watchNeedsATerminal() throws {
        for verb in ["list", "state"] as [ByteString] {
            let outcome = try Stage(.ordinary).verb(verb, ["--watch"])
            #expect(outcome.exit == 100 && outcome.errors.contains("leave --watch out"), "\(outcome.errors)")
        }
    }
}
