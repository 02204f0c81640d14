import CLinux
import Foundation
import Testing

@testable import ReusePortKit

@Suite struct InspectUnixTests {
    @Test func listeningSocket() throws {
        let directory = Sandbox()
        let path = "\(directory.path)/web.sock"
        let listener = try unixListener(at: path)
        let client = try unixClient(to: path)
        let record = try #require(try listeningUnixSockets().first { $0.path.text == path })
        #expect(record.inode == (try socketInode(of: listener)))
        #expect(record.cookie == (try socketCookie(of: listener)))
        #expect(record.type == Int32(SOCK_STREAM.rawValue))
        #expect(record.acceptQueue == 1)
        #expect(record.acceptLimit == 5)

        // The file is told as stat(2) tells it, wherever it has been renamed to.
        let renamed = "\(directory.path)/old.sock"
        #expect(rename(path, renamed) == 0)
        var status = stat()
        #expect(stat(renamed, &status) == 0)
        let file = UnixSocketFile(device: UInt64(status.st_dev), inode: UInt64(status.st_ino))
        #expect(record.file == file)
        #expect(try listeningUnixSockets().contains { $0.file == file && $0.inode == record.inode })
        _ = client.number
    }

    @Test func abstractName() throws {
        let name = "@reuseport-exec-\(getpid())-abstract"
        let listener = try unixListener(at: name)
        let record = try #require(try listeningUnixSockets().first { $0.path.text == name })
        #expect(record.file == nil)
        #expect(record.inode == (try socketInode(of: listener)))
    }

    @Test func liveSocketIsOurs() throws {
        let directory = Sandbox()
        let listener = try unixListener(at: "\(directory.path)/live.sock")
        let client = try unixClient(to: "\(directory.path)/live.sock")
        let explanation = explainLiveUnixSocket(client)
        let name = try commandName(of: getpid()).text
        let owner = userDescription(geteuid()).text
        #expect(explanation.reason.text == "pid \(getpid()) (\(name)) of \(owner) listens on it")
        #expect(explanation.remedy?.text == "stop it first")
        let blind = explainLiveUnixSocket(client, in: ProcFileSystem(root: "/nonexistent"))
        #expect(blind.reason.text == "pid \(getpid()) of \(owner) listens on it")
        _ = listener.number
    }

    /// The process that called listen(2), which is what SO_PEERCRED tells of, has gone; a child of it has the socket.
    @Test func liveSocketLeftToAnother() throws {
        let directory = Sandbox()
        let path = "\(directory.path)/left.sock"
        let script = """
            import socket, subprocess, sys
            s = socket.socket(socket.AF_UNIX)
            s.bind(sys.argv[1])
            s.listen(4)
            c = subprocess.Popen(["cat"], pass_fds=[s.fileno()])
            print(c.pid, flush=True)
            """
        let parent = try Running(
            file: try Tool.require("python3"), words: ["python3", "-c", ByteString(script), ByteString(path)],
            environment: Sandbox.environment, hasInput: true)
        let heir = try #require(Int32(try parent.line() ?? ""))
        try waitUntil("the end of the parent") { state(of: parent.pid) == "Z" }
        let client = try unixClient(to: path)
        let explanation = explainLiveUnixSocket(client)
        let owner = userDescription(geteuid()).text
        #expect(explanation.reason.text == "pid \(heir) (cat) listens on it, opened by \(owner)")
        // It reads the parent's standard input, and so ends with it.
    }

    private func unixListener(at path: String) throws -> Descriptor {
        let listener = Descriptor(
            owning: try checked(CLinux.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)))
        try withAddress(path) { raw, count in _ = try checked(CLinux.bind(listener.number, raw, count)) }
        try checked(CLinux.listen(listener.number, 5))
        return listener
    }

    private func unixClient(to path: String) throws -> Descriptor {
        let client = Descriptor(
            owning: try checked(CLinux.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)))
        try withAddress(path) { raw, count in _ = try checked(CLinux.connect(client.number, raw, count)) }
        return client
    }

    /// A leading `@` stands for an abstract name.
    private func withAddress(_ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) throws -> Void) throws {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        var bytes = Array(path.utf8)
        let isAbstract = bytes[0] == UInt8(ascii: "@")
        if isAbstract { bytes[0] = 0 }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        let count = MemoryLayout<sockaddr_un>.offset(of: \.sun_path)! + bytes.count + (isAbstract ? 0 : 1)
        try withUnsafePointer(to: &address) { pointer in
            try body(UnsafeRawPointer(pointer).assumingMemoryBound(to: sockaddr.self), socklen_t(count))
        }
    }
}
