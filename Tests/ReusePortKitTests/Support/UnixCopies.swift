import CLinux
import Foundation
import Testing

@testable import ReusePortKit

/// An app of several copies with a Unix socket each, in a set-group-id directory, behind nginx.
final class UnixCopies {
    let stage: Stage
    /// Where the sockets are: root's, with the group of nginx; or the program's own.
    let folder: String
    private var proxies: [Running] = []

    init(_ stage: Stage? = nil, ownedByProgram: Bool = false) throws {
        try Tool.requireRoot()
        self.stage = try stage ?? Stage(.privileged, .unix)
        folder = self.stage.box.makeDirectory("sockets")
        chown(folder, ownedByProgram ? 65534 : 0, getgrnam("www-data").pointee.gr_gid)
        chmod(folder, 0o2755)
        self.stage.otherSocket = "http:unix:\(folder)/{copy}.sock,mode=660"
        self.stage.otherAddresses = ["unix:\(path(0))"]
    }

    func path(_ copy: Int) -> String { "\(folder)/\(copy).sock" }

    /// All that is there.
    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted() }
    /// Without those that the copies have for themselves.
    var publicNames: [String] { names.filter { !$0.hasPrefix(".") } }
    var strays: [String] { stage.strayNames(in: folder) }

    /// The options of all deploys, and the program.
    let options: [ByteString] = ["--pass", "nodesockd", "--retired-nice", "5"]
    func program(_ label: String, delay: Int = 0, removes: [String] = []) throws -> [ByteString] {
        [ByteString(try Tool.require("node")), ByteString(try stage.box.target("nodesockd.js")), ByteString(label)]
            + [ByteString(decimal: delay)] + removes.map { ByteString($0) }
    }

    @discardableResult
    func deploy(
        _ label: String, copies: Int? = 3, _ more: [ByteString] = [], delay: Int = 0, removes: [String] = [],
        expect: Int32 = 0, _ location: SourceLocation = #_sourceLocation
    ) throws -> Outcome {
        try stage.deploy(
            label, copies: copies, options + more, command: try program(label, delay: delay, removes: removes),
            expect: expect, location)
    }

    /// nginx before these paths; the clients of loads go there from now on.
    func startProxy(_ paths: [String], _ settings: String) throws {
        let nginx = try Tool.require("nginx")
        let work = stage.box.makeDirectory("nginx", owner: getpwnam("www-data").pointee.pw_uid)
        let port = try ReservedPort()
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
            .map { "\($0)_temp_path \(work)/\($0);" }.joined(separator: "\n")
        let upstream = paths.map { "server unix:\($0) max_fails=0;" }.joined(separator: "\n")
        let configuration = stage.box.write(
            "nginx.conf",
            """
            daemon off; user www-data; worker_processes 1; pid \(work)/pid; error_log \(work)/log crit;
            events { worker_connections 1024; }
            http { access_log off; \(temporary)
            upstream app { \(upstream) }
            server { listen 127.0.0.1:\(port.number);
            location / { proxy_pass http://app; \(settings) } } }
            """)
        let proxy = try stage.box.start(
            [
                "--socket", "http:127.0.0.1:\(port.number)", "--pass", "nginx", "--", ByteString(nginx), "-e",
                "\(work)/log", "-c", ByteString(configuration),
            ])
        // It listens from now on.
        #expect(try proxy.get(.v4(port.number), path: "/").contains("label: "))
        proxies.append(proxy)
        stage.otherAddresses = ["127.0.0.1:\(port.number)"]
    }

    /// What a copy answers, asked directly.
    func ask(_ copy: Int) throws -> String { try stage.ask(at: "unix:\(path(copy))") }

    /// Every copy answers as this generation.
    func expectServed(
        _ label: String, _ copies: Range<Int> = 0..<3, _ location: SourceLocation = #_sourceLocation
    ) throws {
        for copy in copies {
            let answer = try ask(copy)
            #expect(
                answer.contains("label: \(label)\n") && answer.contains("worker: \(copy)\n"), "\(answer)",
                sourceLocation: location)
        }
    }
}
