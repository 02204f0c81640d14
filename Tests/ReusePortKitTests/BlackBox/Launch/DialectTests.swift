import Foundation
import Testing

@testable import ReusePortKit

/// What each dialect says, exactly, and what it says clearly that it cannot say.
@Suite struct DialectTests {
    let box = Sandbox()

    /// Two sockets, one of them Unix, and a file; options to stand before --pass.
    private var three: [ByteString] {
        box.write("data", "")
        return [
            "--socket", "http:127.0.0.1:0", "--socket", "u:unix:\(box["u.sock"])", "--file", "data:\(box["data"])",
        ]
    }

    /// What is in the environment and was not given.
    private func added(_ view: View) -> [String: String] {
        var result: [String: String] = [:]
        for entry in view.environment where !Sandbox.environment.contains(entry) {
            guard let (name, value) = entry.cut(at: UInt8(ascii: "=")) else { continue }
            result[name.text] = value.text
        }
        return result
    }

    @Test func systemd() throws {
        let view = try box.view(three + ["--pass", "systemd"])
        #expect(added(view) == ["LISTEN_FDS": "3", "LISTEN_PID": view.pid, "LISTEN_FDNAMES": "http:u:data"])
        #expect(view.descriptors == Array(0...5))
        #expect(view.link(5) == box["data"])
    }

    @Test func niagra() throws {
        let view = try box.view(
            ["--socket", "http:127.0.0.1:0", "--socket", "u:unix:\(box["u.sock"])", "--pass", "niagra"],
            arguments: ["x"])
        #expect(view.arguments.dropFirst().map(\.text) == ["x", "--fd", "http,3", "--fd", "u,4"])
        #expect(added(view) == [:])
    }

    @Test func niagra2() throws {
        let view = try box.view(three + ["--pass", "niagra2"], arguments: ["x"])
        #expect(
            view.arguments.dropFirst().map(\.text)
                == ["x", "--fd", "http,insecure,3", "--fd", "u,insecure,4", "--file", "data,5"])
        #expect(added(view) == [:])
    }

    @Test func lactoserv() throws {
        let view = try box.view(
            ["--socket", "a\"\\ü\u{1}:127.0.0.1:0", "--socket", "b:127.0.0.1:0", "--pass", "lactoserv"])
        let added = added(view)
        #expect(added.keys.sorted() == ["LACTOSERV_FDS"])
        let map = try JSONDecoder().decode([String: String].self, from: Data(added["LACTOSERV_FDS", default: ""].utf8))
        #expect(map == ["a\"\\ü\u{1}": "/dev/fd/3", "b": "/dev/fd/4"])
        let plain = try box.view(["--socket", "a:127.0.0.1:0", "--pass", "lactoserv"])
        #expect(plain.variable("LACTOSERV_FDS") == #"{"a":"/dev/fd/3"}"#)
    }

    @Test func nginx() throws {
        let view = try box.view(["--socket", "a:127.0.0.1:0", "--socket", "b:127.0.0.1:0", "--pass", "nginx"])
        #expect(added(view) == ["NGINX": "3;4;"])
    }

    @Test func serverStarter() throws {
        let view = try box.view([
            "--socket", "a:127.0.0.1:0", "--socket", "b:[::1]:0", "--socket", "u:unix:\(box["u.sock"])",
            "--pass", "server-starter",
        ])
        #expect(
            added(view) == [
                "SERVER_STARTER_PORT": "127.0.0.1:\(view.port(3))=3;[::1]:\(view.port(4))=4;\(box["u.sock"])=5",
                "SERVER_STARTER_GENERATION": "1",
            ])
    }

    @Test func einhorn() throws {
        let view = try box.view(["--socket", "a:127.0.0.1:0", "--socket", "b:127.0.0.1:0", "--pass", "einhorn"])
        #expect(
            added(view) == [
                "EINHORN_CHILD_INDEX": "0", "EINHORN_FD_COUNT": "2", "EINHORN_FD_0": "3", "EINHORN_FD_1": "4",
            ])
    }

    @Test func unicorn() throws {
        let view = try box.view(["--socket", "a:127.0.0.1:0", "--socket", "b:127.0.0.1:0", "--pass", "unicorn"])
        #expect(added(view) == ["UNICORN_FD": "3,4"])
    }

    @Test func phpFPM() throws {
        let view = try box.view([
            "--socket", "a:127.0.0.1:0", "--socket", "u:unix:\(box["u.sock"])", "--pass", "php-fpm",
        ])
        #expect(added(view) == ["FPM_SOCKETS": "127.0.0.1:\(view.port(3))=3,\(box["u.sock"])=4"])
    }

    @Test func inetd() throws {
        let view = try box.view(["--socket", "a:127.0.0.1:0", "--pass", "inetd"])
        #expect(view.descriptors == [0, 1, 2])
        #expect(view.socket(0, "listening") == 1)
        #expect(added(view) == [:])
        let both = try box.view(["--socket", "a:127.0.0.1:0", "--pass", "inetd,systemd"])
        #expect(both.descriptors == [0, 1, 2, 3])
        #expect(both.link(0) == both.link(3))
        #expect(both.variable("LISTEN_FDS") == "1")
    }

    @Test(arguments: [("nodesockd", "LISTEN_ON"), ("nodesockd2", "NODESOCKD_SOCKET_PATH")])
    func nodesockd(dialect: String, variable: String) throws {
        let view = try box.view(["--socket", "u:unix:\(box["u.sock"])", "--pass", ByteString(dialect)])
        #expect(view.descriptors == Array(0...5))
        var added = added(view)
        let channel = Int(added.removeValue(forKey: "NODE_CHANNEL_FD") ?? "")
        #expect(channel == 4)
        added["NODE_CHANNEL_SERIALIZATION_MODE"] = nil
        #expect(added[variable] == box["u.sock"])
        #expect(added["NODESOCKD_WORKER_ID"] != nil)
        #expect(Set(added.keys).isSubset(of: [variable, "NODESOCKD_WORKER_ID", "NODESOCKD_SUSPENDED"]))
        for fd in [4, 5] {
            #expect(view.socket(fd, "domain") == Int(AF_UNIX))
            #expect(view.socket(fd, "listening") == 0)
        }
    }

    @Test func severalAtOnce() throws {
        let view = try box.view(
            [
                "--socket", "http:127.0.0.1:0",
                "--pass", "systemd,niagra,lactoserv,nginx,server-starter,einhorn,unicorn,php-fpm,inetd",
            ], arguments: ["x"])
        let port = view.port(3)
        #expect(
            added(view) == [
                "LISTEN_FDS": "1", "LISTEN_PID": view.pid, "LISTEN_FDNAMES": "http",
                "LACTOSERV_FDS": #"{"http":"/dev/fd/3"}"#, "NGINX": "3;", "SERVER_STARTER_PORT": "127.0.0.1:\(port)=3",
                "SERVER_STARTER_GENERATION": "1", "EINHORN_CHILD_INDEX": "0", "EINHORN_FD_COUNT": "1",
                "EINHORN_FD_0": "3", "UNICORN_FD": "3",
                "FPM_SOCKETS": "127.0.0.1:\(port)=3",
            ])
        #expect(view.arguments.dropFirst().map(\.text) == ["x", "--fd", "http,3"])
        #expect(view.link(0) == view.link(3))
    }

    /// Other dialects do not mind where the numbers are.
    @Test func gapsForOthers() throws {
        let view = try box.view(["--socket", "a:127.0.0.1:0,fd=7", "--socket", "b:127.0.0.1:0", "--pass", "nginx"])
        #expect(view.variable("NGINX") == "7;3;")
    }

    // MARK: What cannot be said

    struct Refusal: CustomTestStringConvertible, Sendable {
        let options: [ByteString]
        let words: [String]
        init(_ options: [ByteString], _ words: String...) { (self.options, self.words) = (options, words) }
        var testDescription: String { options.map(\.text).joined(separator: " ") }
    }

    static let refusals: [Refusal] = [
        Refusal(["--socket", "a\nb:127.0.0.1:0"], "systemd", "a\\nb"),
        Refusal(["--socket", "a,b:127.0.0.1:0", "--pass", "niagra"], "niagra", "a,b"),
        Refusal(["--socket", "a,b:127.0.0.1:0", "--pass", "niagra2"], "niagra2", "a,b"),
        Refusal(
            ["--socket", ByteString([0x61, 0xFF] + Array(":127.0.0.1:0".utf8)), "--pass", "lactoserv"], "lactoserv",
            "a\\xff"),
        Refusal(["--socket", "u:unix:BOX/a;b", "--pass", "server-starter"], "u in dialect server-starter", "';'"),
        Refusal(["--socket", "u:unix:BOX/a=b", "--pass", "server-starter"], "u in dialect server-starter", "'='"),
        Refusal(["--socket", "u:unix:BOX/a=b", "--pass", "php-fpm"], "u in dialect php-fpm", "'='"),
        Refusal(
            ["--socket", "a:127.0.0.1:0", "--socket", "b:127.0.0.1:0", "--pass", "inetd"], "dialect inetd",
            "exactly one"),
        Refusal(["--pass", "inetd"], "dialect inetd", "exactly one"),
        Refusal(["--socket", "a:127.0.0.1:0", "--pass", "nodesockd"], "nodesockd", "unix"),
        Refusal(["--socket", "a:127.0.0.1:0,fd=7"], "systemd", "3"),
        Refusal(["--socket", "a:127.0.0.1:0,fd=4", "--socket", "b:127.0.0.1:0,fd=3"], "systemd", "3"),
        Refusal(["--socket", "a:127.0.0.1:0", "--env", "LISTEN_FDS=7"], "LISTEN_FDS", "systemd"),
        Refusal(["--socket", "a:127.0.0.1:0", "--pass", "nginx", "--env", "NGINX=7"], "NGINX", "nginx"),
    ]

    @Test(arguments: refusals) func refused(_ one: Refusal) throws {
        let options = one.options.map { option in
            ByteString(
                Array(
                    String(decoding: option.bytes, as: UTF8.self).replacingOccurrences(of: "BOX", with: box.path).utf8))
        }
        // Only the options that name the folder are text; the others go as they are.
        let raw = zip(one.options, options).map { $0.text.contains("BOX") ? $1 : $0 }
        let outcome = try box.run(raw + ["/bin/true"])
        #expect(outcome.exit == 100)
        expectOneLine(outcome)
        for word in one.words { #expect(outcome.errors.contains(word), "\(outcome.errors)") }
        #expect(try FileManager.default.contentsOfDirectory(atPath: box.path) == ["bin"])
    }

    @Test func colonInName() throws {
        box.write("config", "socket: a:b 4 127.0.0.1 0\npass: systemd\n")
        let outcome = try box.run(["--config", ByteString(box["config"]), "/bin/true"])
        #expect(outcome.exit == 100)
        expectOneLine(outcome)
        #expect(outcome.errors.contains("a:b"))
        #expect(outcome.errors.contains("systemd"))
    }
}

/// A failure is one line that says what could not be done.
func expectOneLine(_ outcome: Outcome, _ location: SourceLocation = #_sourceLocation) {
    let errors = outcome.errors
    #expect(
        errors.hasPrefix("reuseport-exec: fatal: unable to ") && errors.hasSuffix("\n")
            && errors.filter { $0 == "\n" }.count == 1, "\(errors)", sourceLocation: location)
    #expect(outcome.output.isEmpty, sourceLocation: location)
}
