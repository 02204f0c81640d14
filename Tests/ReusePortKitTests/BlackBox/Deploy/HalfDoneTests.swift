import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// What others are in the middle of, or have left half done.
@Suite struct HalfDoneTests {
    /// A restart that is killed has told the generation to stop, which still serves: that is what is to be started
    /// again, and not one that had been replaced.
    @Test(arguments: Level.allCases)
    func migrateWhileTheLastOneRetires(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("1")
        try stage.deploy("2", ["--env", "SAMPLE_IGNORE_TERM=1", "--stop-timeout", "6s"])
        let retire = try stage.launch(["retire", "web", "--run-dir", stage.runDirectory])
        try waitUntil("it is told") { try stage.generation("2")?.state == "retiring" }
        retire.kill()
        try stage.change(["migrate", "web", "--generation", "3", "--stop-timeout", "1s"])
        let deployed = try #require(
            FileManager.default.contents(atPath: "\(stage.runDirectory.text)/web/deployment.3"))
        #expect(String(decoding: deployed, as: UTF8.self).contains("SAMPLE_IGNORE_TERM"))
        #expect(try stage.generation("3")?.state == "live")
        try stage.change(["terminate", "web"])
    }

    /// A file that is to be there only once is there until the program ends: that is no reason not to end it.
    @Test func restartWithWhatIsThereOnce() throws {
        let stage = try Stage(.ordinary)
        let lock = "\(stage.home)/lock"
        let script = """
            import os, signal, socket, sys
            def stop(number, frame):
                os.unlink(sys.argv[1])
                sys.exit()
            signal.signal(signal.SIGTERM, stop)
            server = socket.socket(fileno=3)
            while True:
                server.accept()[0].close()
            """
        let words: [ByteString] = ["--file", ByteString("lock:\(lock):w,create,excl")]
        try stage.deploy(
            "1", words,
            command: [
                ByteString(try Tool.require("python3")), "-S", "-E", "-c", ByteString(script), ByteString(lock),
            ])
        let pids = try stage.pids()
        try stage.change(["restart", "web"])
        #expect(try Set(stage.pids()).isDisjoint(with: pids) && stage.box.status(lock) != nil)
    }

    /// The copies tell what runs; what it is called, the record of how it was deployed.
    @Test(arguments: Level.allCases)
    func nameOfAGenerationWhoseFileIsLost(level: Level) throws {
        let stage = try Stage(level)
        try stage.deploy("green", copies: 2)
        let pids = try stage.pids()
        unlink("\(stage.runDirectory.text)/web/app")
        try stage.change(["scale", "web", "3"])
        #expect(try stage.generation("green")?.running.count == 3)
        #expect(try Set(stage.pids()).isSuperset(of: pids))
        try stage.change(["migrate", "web", "--generation", "blue"])
        #expect(try stage.ask().contains("label: green"), "the command that it was deployed with")
        try stage.expectOnly(try stage.pids())
    }

    /// Who holds the lock of all apps keeps those waiting that start, and their helpers not at all.
    @Test func otherAppTakesItsTime() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1")
        let other = open("\(stage.runDirectory.text)/.lock", O_RDWR | O_CLOEXEC)
        #expect(other >= 0 && flock(other, LOCK_EX) == 0)
        // What it has no patience with is another generation of its own app.
        let deploy = try stage.startDeploy("2", ["--lock-timeout", "300ms"])
        let end = ContinuousClock.now + .seconds(1)
        // Whoever needs the app's own lock gets it meanwhile.
        let own = open("\(stage.runDirectory.text)/web/lock", O_RDWR | O_CLOEXEC)
        var times = 0
        try waitUntil("the app's lock, several times") {
            if flock(own, LOCK_EX | LOCK_NB) == 0 { times += 1 }
            flock(own, LOCK_UN)
            return times > 9 && .now > end
        }
        close(own)
        flock(other, LOCK_UN)
        close(other)
        #expect(try deploy.end().exit == 0)
        #expect(try stage.ask().contains("label: 2"))
    }

    /// A folder for the app in a run directory that is root's.
    @Test func runDirectoryOfRoot() throws {
        try Tool.requireRoot()
        let stage = try Stage(.ordinary)
        let path = stage.runDirectory.text
        mkdir(path, 0o755)
        mkdir("\(path)/web", 0o755)
        chown("\(path)/web", try #require(stage.deployer), 0)
        try stage.deploy("1")
        try stage.deploy("2")
        #expect(try stage.ask().contains("label: 2"))
        #expect(stage.box.status("\(path)/.lock") == nil)
    }

    /// A deploy over a suspended generation is killed before it has told that to stop: the next one does, and then
    /// too nothing of what waits is for the program that stands still.
    @Test func deployOverSuspendedIsKilled() throws {
        let stage = try Stage(.privileged)
        try stage.deploy("1", copies: 2, ["--suspended"])
        let clients = try stage.startClients(200)
        try waitUntil("all wait") { try stage.queued() == 200 }
        let deploy = try stage.startDeploy("2", copies: 2, ["--settle", "8s"])
        try waitUntil("it has taken over") { try stage.generation("2")?.state == "live" }
        deploy.kill()
        try stage.deploy("3", copies: 2)
        var report = Report()
        let outcome = try clients.end()
        try report.add(outcome.output)
        #expect(report.lost == 0 && report.requests >= 200, "\(report.summary) \(outcome.errors)")
        #expect(!report.labels.contains("1"), "\(report.labels)")
        try stage.expectOnly(try stage.pids())
    }
}
