import Foundation
import Testing

@testable import ReusePortKit

/// What a deploy says of a program that does not serve as it should. More of it is in TypicalMistakesTests.
@Suite struct HintTests {
    /// Whoever waits learns of it before the time is over.
    @Test func whileItWaits() throws {
        let stage = try Stage(.ordinary)
        let script = "require('http').createServer().listen(0, '127.0.0.1')"
        let deploy = try stage.startDeploy(
            "1", ["--ready-timeout", "120s"], command: [ByteString(try Tool.require("node")), "-e", ByteString(script)])
        try deploy.waitFor("not on the socket it was given")
        deploy.signal(SIGTERM)
        #expect(try deploy.end().exit == 1)
    }

    @Test func nginxWithoutStopSignal() throws {
        let stage = try Stage(.ordinary)
        let nginx: [ByteString] = [ByteString(try Tool.require("nginx")), "-c", "/no/such"]
        let warned = try stage.deploy("1", ["--ready-timeout", "5s"], command: nginx, expect: 1)
        #expect(warned.errors.contains("nginx breaks off its answers at TERM: add --stop-signal QUIT"))
        let quiet = try stage.deploy(
            "1", ["--ready-timeout", "5s", "--stop-signal", "QUIT"], command: nginx, expect: 1)
        #expect(!quiet.errors.contains("QUIT"), "\(quiet.errors)")
    }

    /// gunicorn has words of its own for an address in use.
    @Test func addressInUse() throws {
        let stage = try Stage(.ordinary)
        for line in [
            "[ERROR] Connection in use: ('127.0.0.1', PORT)",
            "Error: listen EADDRINUSE: address already in use :::PORT",
        ] {
            let text = line.replacing("PORT", with: "\(stage.port)")
            let outcome = try stage.deploy(
                "1", ["--ready-timeout", "5s"], command: ["/bin/sh", "-c", "echo \"$0\"; exit 1", ByteString(text)],
                expect: 1)
            #expect(outcome.errors.contains("it binds \(stage.port) by itself: add --pass adopt"), "\(outcome.errors)")
        }
    }

    /// Those who have forgotten sudo(8) are told whose app it is.
    @Test func appOfRoot() throws {
        let stage = try Stage(.privileged)
        let outcome = try stage.inMountNamespace(
            """
            mount -t tmpfs none /run
            mkdir -p /run/reuseport-exec/web
            install -d -m 700 -o 65534 /run/own
            exec setpriv --reuid 65534 --regid 65534 --clear-groups env XDG_RUNTIME_DIR=/run/own "$launcher" state web
            """)
        #expect(outcome.exit == 1)
        #expect(outcome.errors.contains("root has an app web: use sudo"), "\(outcome.errors)")
    }

    @Test func directoryThatTheUserMayNotEnter() throws {
        let stage = try Stage(.privileged)
        let place = stage.box.makeDirectory("private")
        chmod(place, 0o700)
        let outcome = try stage.deploy(
            "1", ["--ready-timeout", "5s"], command: ["/bin/sh", "-c", "cat ./app.js; exit 1"],
            steps: [.changeDirectory(place)], expect: 1)
        #expect(outcome.errors.contains("; its user may not enter \(place)"), "\(outcome.errors)")
    }

    /// A server that binds the path of its Unix socket by itself, may not, or binds another.
    @Test func unixSockets() throws {
        let stage = try Stage(.ordinary, .unix)
        let path = stage.socketPath
        let node = ByteString(try Tool.require("node"))
        func outcome(_ script: String, _ time: ByteString) throws -> String {
            try stage.deploy(
                "1", ["--ready-timeout", time], command: [node, "-e", ByteString(script), ByteString(path)], expect: 1
            ).errors
        }
        let serve = "require('http').createServer().listen(process.argv[1]"
        #expect(try outcome("\(serve))", "3s").contains("it binds \(path) by itself: add --pass adopt"))
        let other = try outcome("\(serve) + '.other')", "3s")
        #expect(other.contains("listens on \(path).other, not on the socket"), "\(other)")
        let denied = try outcome("throw Error('listen EACCES: permission denied ' + process.argv[1])", "9s")
        #expect(denied.contains("it binds \(path) by itself: add --pass adopt"), "\(denied)")
    }

    /// The output of a failed version may stand between that of the one that serves.
    @Test func sharedLog() throws {
        let stage = try Stage(.ordinary)
        let failing: [ByteString] = ["/bin/sh", "-c", "echo oh no; exit 1"]
        let log: [ByteString] = ["--log", ByteString("\(stage.home)/log")]
        let first = try stage.deploy("1", log, command: failing, expect: 1)
        #expect(first.errors.contains("the output in \(stage.home)/log:"), "\(first.errors)")
        try stage.deploy("2", log)
        let second = try stage.deploy("3", log, command: failing, expect: 1)
        #expect(second.errors.contains("log, with that of the live generation:"), "\(second.errors)")
        try stage.change(["terminate", "web"])
        #expect(try stage.verb("forget", ["web"]).errors.contains("the log stays: \(stage.home)/log"))
    }
}
