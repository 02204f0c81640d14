import Foundation
import Testing

@testable import ReusePortKit

/// What the target finds when it starts, looked at from inside, byte for byte.
@Suite struct TargetViewTests {
    let box = Sandbox()
    let socket: [ByteString] = ["--socket", "http:127.0.0.1:0"]

    static let announced: Set<String> = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]

    /// The environment without what the systemd dialect says.
    private func own(_ view: View) -> [ByteString] {
        view.environment.filter { entry in !Self.announced.contains { entry.hasPrefix(ByteString("\($0)=")) } }
    }

    @Test func plain() throws {
        let view = try box.view(socket)
        #expect(view.descriptors == [0, 1, 2, 3])
        #expect(view.link(0) == "/dev/null")
        #expect(view.link(1).hasPrefix("pipe:"))
        #expect(view.link(2).hasPrefix("pipe:"))
        #expect(view.link(3).hasPrefix("socket:"))
        #expect(view.socket(3, "listening") == 1)
        #expect(view.socket(3, "reuseport") == 1)
        #expect(view.socket(3, "reuseaddr") == 1)
        #expect(view.socket(3, "domain") == Int(AF_INET))
        #expect(view.socket(3, "nodelay") == 0)
        // Inheritable and blocking, as systemd hands them over.
        #expect(view.flags(3) == "fd=0 fl=2")
        #expect(view.arguments == [ByteString(try box.target("view"))])
        #expect(own(view) == Sandbox.environment)
        #expect(view.variable("LISTEN_FDS") == "1")
        #expect(view.variable("LISTEN_PID") == view.pid)
        #expect(view.variable("LISTEN_FDNAMES") == "http")
        #expect(view.directory == FileManager.default.currentDirectoryPath)
        #expect(view.status("SigBlk") == "0000000000000000")
        #expect(view.status("SigCgt") == "0000000000000000")
        #expect(view.status("NoNewPrivs") == "0")
        #expect(view.status("Threads") == "1")
        // Without --user nothing is given up: all of it is as it is here.
        let here = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        for field in ["Uid", "Gid", "Groups", "CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
            let line = here.split(separator: "\n").first { $0.hasPrefix("\(field):") } ?? ""
            let value = line.split(whereSeparator: { " \t".contains($0) }).dropFirst().joined(separator: " ")
            #expect(view.status(field) == value, "\(field)")
        }
    }

    @Test func bytesPassUntouched() throws {
        let raw = ByteString([0x80, 0xFF, 0xC3, 0x28, 0x0A, 0x20, 0x22, 0x27, 0x5C, 0x09])
        let arguments: [ByteString] = [
            "", raw, "--socket", "--", "{", "}", "{}", "{{", "{fd}", "a {b:c", "ü{json: 1}", "",
        ]
        var expected = arguments
        // The one thing that is not literal.
        expected[7] = "{"
        let environment =
            Sandbox.environment + ["RAW=\(raw)", "EMPTY=", "\(raw)=x", "NO_SIGN", "=odd", "DOUBLE=1", "DOUBLE=2"]
        let view = try box.view(socket, arguments: arguments, environment: environment)
        #expect(Array(view.arguments.dropFirst()) == expected)
        #expect(own(view) == environment)
    }

    @Test func emptyEnvironment() throws {
        let view = try box.view(socket, environment: [])
        #expect(view.variableNames == Self.announced)
    }

    // MARK: Identity

    private func expectNoPrivilege(_ view: View, _ location: SourceLocation = #_sourceLocation) {
        for field in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
            #expect(view.status(field) == "0000000000000000", "\(field)", sourceLocation: location)
        }
    }

    @Test func namedUser() throws {
        try Tool.requireRoot()
        let entry = try #require(getpwnam("nobody")).pointee
        let uid = entry.pw_uid
        let gid = entry.pw_gid
        let home = String(cString: entry.pw_dir)
        let shell = String(cString: entry.pw_shell)
        let view = try box.view(
            socket + ["--user", "nobody"],
            environment: Sandbox.environment + [
                "HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh", "MAIL=kept",
            ])
        #expect(view.status("Uid") == "\(uid) \(uid) \(uid) \(uid)")
        #expect(view.status("Gid") == "\(gid) \(gid) \(gid) \(gid)")
        #expect(view.groups == "\(gid)")
        expectNoPrivilege(view)
        #expect(view.variable("HOME") == home)
        #expect(view.variable("SHELL") == shell)
        #expect(view.variable("USER") == "nobody")
        #expect(view.variable("LOGNAME") == "nobody")
        #expect(view.variable("MAIL") == "kept")
        #expect(view.descriptors == [0, 1, 2, 3])
        #expect(view.status("NoNewPrivs") == "0")
    }

    /// Inheritable and ambient capabilities, and securebits that keep all of them across setuid(2): none reaches the
    /// target, whether root hands them down or a user who has only those.
    @Test(arguments: [[.keepCapabilities], [.keepCapabilities, .user(4711, 4711)]] as [[Step]])
    func capabilitiesOfTheCaller(steps: [Step]) throws {
        try Tool.requireRoot()
        let program = try box.target("view")
        let before = try View(box.start(program: program, [], steps).end().output)
        #expect(before.status("CapAmb") == "00000000000004c0")
        let view = try box.view(socket + ["--user", "nobody"], steps)
        #expect(view.uid == "65534 65534 65534")
        #expect(view.gid == "65534 65534 65534")
        #expect(view.groups == "65534")
        expectNoPrivilege(view)
    }

    @Test func environmentOptionWinsOverUser() throws {
        try Tool.requireRoot()
        let view = try box.view(socket + ["--user", "nobody", "--env", "HOME=/somewhere"])
        #expect(view.variable("HOME") == "/somewhere")
        #expect(view.variable("USER") == "nobody")
    }

    @Test func numbersWithoutEntry() throws {
        try Tool.requireRoot()
        let view = try box.view(
            socket + ["--user", "1234567:2345678"],
            environment: Sandbox.environment + ["HOME=/root", "USER=root", "LOGNAME=root", "SHELL=/bin/sh"])
        #expect(view.status("Uid") == "1234567 1234567 1234567 1234567")
        #expect(view.status("Gid") == "2345678 2345678 2345678 2345678")
        #expect(view.groups == "2345678")
        expectNoPrivilege(view)
        #expect(view.variable("HOME") == "/")
        #expect(view.variableNames.isDisjoint(with: ["USER", "LOGNAME", "SHELL"]))
    }

    @Test func numberWithEntry() throws {
        try Tool.requireRoot()
        let entry = try #require(getpwnam("nobody")).pointee
        let uid = entry.pw_uid
        let view = try box.view(socket + ["--user", ByteString(decimal: uid)])
        #expect(view.uid == "\(uid) \(uid) \(uid)")
        #expect(view.gid == "\(entry.pw_gid) \(entry.pw_gid) \(entry.pw_gid)")
        #expect(view.variable("USER") == "nobody")
    }

    @Test func otherGroup() throws {
        try Tool.requireRoot()
        let gid = try #require(getgrnam("daemon")).pointee.gr_gid
        let view = try box.view(socket + ["--user", "nobody:daemon"])
        #expect(view.gid == "\(gid) \(gid) \(gid)")
    }

    @Test func groupsReplaceTheUsersOwn() throws {
        try Tool.requireRoot()
        let daemon = try #require(getgrnam("daemon")).pointee.gr_gid
        let view = try box.view(socket + ["--user", "nobody", "--groups", "daemon,4711"])
        #expect(view.groups == "\(daemon) 4711")
    }

    @Test(arguments: [["--user", "nobody"], []] as [[ByteString]])
    func noGroups(options: [ByteString]) throws {
        try Tool.requireRoot()
        let view = try box.view(socket + options + ["--no-groups"], [.user(0, 4)])
        #expect(view.groups == "")
    }

    /// The caller's groups must not stay when the user has others.
    @Test func callersGroupsGo() throws {
        try Tool.requireRoot()
        let nobody = try #require(getpwnam("nobody")).pointee
        let view = try box.view(socket + ["--user", "nobody"], [.user(0, 4)])
        #expect(view.groups == "\(nobody.pw_gid)")
    }

    @Test func unprivilegedCaller() throws {
        try Tool.requireRoot()
        let view = try box.view(socket, [.user(65534, 65534)])
        #expect(view.uid == "65534 65534 65534")
        #expect(view.descriptors == [0, 1, 2, 3])
        expectNoPrivilege(view)
    }

    /// What the kernel says of the ids counts, not that the call to change them has succeeded.
    @Test(arguments: ["setresuid", "setresgid"] as [ByteString])
    func changeThatDidNotHappen(call: ByteString) throws {
        try Tool.requireRoot()
        let outcome = try box.run(socket + ["--user", "nobody", "--", "/bin/echo", "started"], [.pretend(call)])
        #expect(outcome.exit == 111 && outcome.output == "", "\(outcome.output.text)")
        #expect(outcome.errors.contains("the kernel reports another one"), "\(outcome.errors)")
    }

    @Test func noNewPrivileges() throws {
        let view = try box.view(socket + ["--no-new-privs"])
        #expect(view.status("NoNewPrivs") == "1")
    }

    // MARK: Places

    @Test(arguments: [nil, "nobody"] as [ByteString?])
    func changedRoot(user: ByteString?) throws {
        try Tool.requireRoot()
        _ = try box.target("view")
        mkdir(box["inside"], 0o755)
        let options = socket + ["--chroot", ByteString(box.path)] + (user.map { ["--user", $0] } ?? [])
        for (more, directory) in [([], "/"), (["--chdir", "/inside"], "/inside")] as [([ByteString], String)] {
            let outcome = try box.run(options + more + ["/view", "a"])
            #expect(outcome.errors == "")
            let view = try View(outcome.output)
            #expect(view.directory == directory)
            #expect(view.arguments == ["/view", "a"])
            #expect(view.descriptors == [0, 1, 2, 3])
            #expect(view.uid == (user == nil ? "0 0 0" : "65534 65534 65534"))
            #expect(view.variable("LISTEN_PID") == "\(outcome.pid)")
        }
    }

    @Test func changedDirectory() throws {
        mkdir(box["sub"], 0o755)
        let relative = try box.view(socket + ["--chdir", "sub"], [.changeDirectory(box.path)])
        #expect(relative.directory == box["sub"])
        let absolute = try box.view(socket + ["--chdir", ByteString(box["sub"])])
        #expect(absolute.directory == box["sub"])
    }

    @Test func relativePathsAreTheCallers() throws {
        box.write("data", "hello")
        mkdir(box["sub"], 0o755)
        let view = try box.view(
            ["--socket", "s:unix:a.sock", "--file", "data:data", "--chdir", "sub"], [.changeDirectory(box.path)])
        #expect(box.exists("a.sock"))
        #expect(view.link(4) == box["data"])
    }

    @Test(arguments: ["000", "077", "022", "777"]) func mask(mode: String) throws {
        #expect(try box.view(socket + ["--umask", ByteString(mode)]).umask == mode)
    }

    @Test func callersMask() throws {
        #expect(try box.view(socket, [.umask("0137")]).umask == "137")
    }

    // MARK: Environment

    /// `--keep` is the former name of `--keep-env`.
    @Test func clearedEnvironment() throws {
        let environment: [ByteString] = ["A=1", "B=2", "PATH=/bin", "C=3"]
        let view = try box.view(
            socket + ["--clear-env", "--keep-env", "B", "--keep", "ABSENT", "--env", "D=4", "--env", "E="],
            environment: environment)
        #expect(Set(own(view)) == ["B=2", "D=4", "E="])
    }

    @Test func setVariableReplaces() throws {
        let view = try box.view(socket + ["--env", "A=new={x}"], environment: ["A=old", "B=2", "A=older"])
        #expect(Set(own(view)) == ["A=new={x}", "B=2"])
        #expect(own(view).count == 2)
    }

    @Test func staleVariablesGo() throws {
        let stale: [ByteString] = [
            "LISTEN_PID=1", "LISTEN_FDS=3", "LISTEN_FDNAMES=a:b:c", "LISTEN_PIDFDID=9", "NGINX=3;", "NGINX_VAR=kept",
            "EINHORN_FD_COUNT=1", "EINHORN_FD_0=3", "EINHORN_MASTER_PID=1", "SERVER_STARTER_PORT=80=3",
            "SERVER_STARTER_GENERATION=2", "UNICORN_FD=3", "FPM_SOCKETS=x=3", "LACTOSERV_FDS={}", "LISTEN_ON=/x",
            "NODESOCKD_SOCKET_PATH=/x", "EINHORN_SOCK_PATH=/x", "EINHORN_CHILD_INDEX=1",
            "NODESOCKD_WORKER_ID=1", "NODESOCKD_SUSPENDED=1", "NODE_CHANNEL_FD=5",
            "NODE_CHANNEL_SERIALIZATION_MODE=json", "NOTIFY_SOCKET=/run/n", "LISTEN_FDSX=kept",
        ]
        let view = try box.view(socket, environment: stale)
        #expect(own(view) == ["NGINX_VAR=kept", "NOTIFY_SOCKET=/run/n", "LISTEN_FDSX=kept"])
        #expect(view.variable("LISTEN_FDS") == "1")
        // Not even without anything to hand over.
        let bare = try box.view([], environment: stale)
        #expect(own(bare) == ["NGINX_VAR=kept", "NOTIFY_SOCKET=/run/n", "LISTEN_FDSX=kept"])
        #expect(bare.descriptors == [0, 1, 2])
    }

    @Test func templates() throws {
        box.write("data", "")
        let path = box["u.sock"]
        let view = try box.view(
            [
                "--socket", "http:127.0.0.1:0", "--socket", "six:[::1]:0", "--socket", "u:unix:\(path)",
                "--file", "data:\(box["data"])", "--env", "FD={fd:u},{fd:data}", "--env", "P={path:u}",
                "--copy", "7", "--env", "C=/run/{copy}",
            ],
            arguments: [
                "fd@{fd:http}", "{addr:http}", "{port:http}{port:http}", "{addr:six}", "{path:u}", "{path:data}",
                "{{fd:http}", "{fd:http", "a{b}c", "{copy}-{copy}", "{{copy}", "listen({fd:3}, {port: 80})",
            ])
        let port = view.port(3)
        #expect(
            view.arguments.dropFirst().map(\.text) == [
                "fd@3", "127.0.0.1", "\(port)\(port)", "::1", path, box["data"], "{fd:http}",
                "{fd:http", "a{b}c", "7-7", "{copy}", "listen({fd:3}, {port: 80})",
            ])
        #expect(view.variable("FD") == "5,6")
        #expect(view.variable("P") == path)
        #expect(port != "0")
    }

    // MARK: Signals

    @Test func signalsPassThrough() throws {
        let view = try box.view(
            socket, [.ignore(SIGHUP), .ignore(SIGPIPE), .ignore(SIGUSR2), .block(SIGTERM), .block(SIGUSR1), .block(40)])
        #expect(view.status("SigIgn") == "0000000000001801")
        #expect(view.status("SigBlk") == "0000008000004200")
        #expect(view.status("SigCgt") == "0000000000000000")
    }

    @Test func signalsStayDefault() throws {
        let view = try box.view(socket, [.umask("022")])
        #expect(view.status("SigIgn") == "0000000000000000")
        #expect(view.status("SigBlk") == "0000000000000000")
    }

    // MARK: Descriptors

    @Test func strangersAreClosed() throws {
        let view = try box.view(
            socket, [.open(3, "/dev/zero"), .open(4, "/dev/null"), .open(57, "/dev/full"), .open(900, "/dev/zero")])
        #expect(view.descriptors == [0, 1, 2, 3])
        #expect(view.link(3).hasPrefix("socket:"))
    }

    @Test func keptDescriptors() throws {
        let view = try box.view(
            socket + ["--keep-fd", "57", "--keep-fd=9"],
            [.open(9, "/dev/zero"), .open(10, "/dev/null"), .open(57, "/dev/full")])
        #expect(view.descriptors == [0, 1, 2, 3, 9, 57])
        #expect(view.link(9) == "/dev/zero")
        #expect(view.link(57) == "/dev/full")
    }

    /// The numbers go around one that is taken.
    @Test func keptDescriptorInTheWay() throws {
        let view = try box.view(
            socket + ["--socket", "b:127.0.0.1:0", "--pass", "unicorn", "--keep-fd", "4"], [.open(4, "/dev/zero")])
        #expect(view.link(4) == "/dev/zero")
        #expect(view.descriptors == [0, 1, 2, 3, 4, 5])
        #expect(view.variable("UNICORN_FD") == "3,5")
    }

    @Test(arguments: [[0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]] as [[Int32]])
    func closedStandardDescriptors(closed: [Int32]) throws {
        let seen = box["seen"]
        let outcome = try box.run(
            socket + ["--", ByteString(try box.target("view"))], environment: Sandbox.environment + ["VIEW_TO=\(seen)"],
            closed.map { .close($0) })
        #expect(outcome.exit == 0)
        let view = try View(ByteString([UInt8](try Data(contentsOf: URL(fileURLWithPath: seen)))))
        #expect(view.descriptors == [0, 1, 2, 3])
        for fd in closed { #expect(view.link(Int(fd)) == "/dev/null") }
        #expect(view.link(3).hasPrefix("socket:"))
    }

    @Test func fixedNumbers() throws {
        box.write("data", "")
        let view = try box.view([
            "--socket", "a:127.0.0.1:0,fd=5", "--socket", "b:127.0.0.1:0", "--socket", "c:127.0.0.1:0,fd=3",
            "--file", "d:\(box["data"])", "--pass", "lactoserv",
        ])
        #expect(view.descriptors == [0, 1, 2, 3, 4, 5, 6])
        #expect(view.link(6) == box["data"])
        let text = try #require(view.variable("LACTOSERV_FDS"))
        let map = try JSONDecoder().decode([String: String].self, from: Data(text.utf8))
        #expect(map["a"] == "/dev/fd/5")
        #expect(map["b"] == "/dev/fd/4")
        #expect(map["c"] == "/dev/fd/3")
    }

    @Test func swappedWithStrangers() throws {
        // The numbers asked for are in use by what is to be kept elsewhere, and by sockets made on the way.
        let view = try box.view(
            [
                "--socket", "a:127.0.0.1:0,fd=4", "--socket", "b:[::1]:0,fd=3", "--socket", "c:127.0.0.1:0,fd=70",
                "--pass", "unicorn", "--keep-fd", "5",
            ], [.open(3, "/dev/zero"), .open(4, "/dev/zero"), .open(5, "/dev/full"), .open(70, "/dev/zero")])
        #expect(view.descriptors == [0, 1, 2, 3, 4, 5, 70])
        #expect(view.socket(3, "domain") == Int(AF_INET6))
        #expect(view.socket(4, "domain") == Int(AF_INET))
        #expect(view.link(5) == "/dev/full")
        #expect(view.socket(70, "listening") == 1)
    }

    @Test func kindsOfSockets() throws {
        let unix = box["u.sock"]
        let view = try box.view([
            "--socket", "six:[::1]:0", "--socket", "dual:*:0", "--socket", "udp:udp:127.0.0.1:0",
            "--socket", "bound:127.0.0.1:0,listen=no", "--socket", "quick:127.0.0.1:0,nodelay", "--socket",
            "u:unix:\(unix)",
            "--socket", "away:192.0.2.77:0,freebind", "--socket", "lo:0.0.0.0:0,bind-dev=lo",
        ])
        #expect(view.descriptors == Array(0...10))
        #expect(view.socket(3, "domain") == Int(AF_INET6))
        #expect(view.socket(3, "v6only") == 1)
        #expect(view.socket(4, "domain") == Int(AF_INET6))
        #expect(view.socket(4, "v6only") == 0)
        #expect(view.socket(5, "type") == Int(datagramSocket))
        #expect(view.socket(5, "reuseport") == 1)
        #expect(view.socket(5, "reuseaddr") == 0)
        #expect(view.socket(6, "listening") == 0)
        #expect(view.socket(6, "reuseport") == 1)
        #expect(view.socket(7, "nodelay") == 1)
        #expect(view.socket(8, "domain") == Int(AF_UNIX))
        #expect(view.socket(8, "listening") == 1)
        #expect(view.socket(9, "listening") == 1)
        #expect(view.socket(10, "listening") == 1)
        #expect(view.device(10) == "lo")
        #expect(view.device(3) == "")
    }

    /// `[::]` is for IPv6 alone and `*` for both families, whatever the host makes of those that do not say.
    @Test(arguments: ["0", "1"]) func familiesAreSaid(byDefault: String) throws {
        try Tool.requireRoot()
        let view = try box.view(
            ["--socket", "six:[::]:0", "--socket", "dual:*:0"],
            [.networkNamespace, .sysctl("net/ipv6/bindv6only=\(byDefault)")])
        #expect(view.socket(3, "v6only") == 1)
        #expect(view.socket(4, "v6only") == 0)
    }

    @Test func backlogs() throws {
        let limit = try String(contentsOfFile: "/proc/sys/net/core/somaxconn", encoding: .utf8)
            .trimmingCharacters(in: .whitespacesAndNewlines)
        let view = try box.view([
            "--socket", "a:127.0.0.1:0", "--socket", "b:127.0.0.1:0,backlog=7", "--socket",
            "c:[::1]:0,backlog=2147483647",
        ])
        #expect(view.backlog(3) == limit)
        #expect(view.backlog(4) == "7")
        #expect(view.backlog(5) == limit)
    }

    @Test func filesAndTheirFlags() throws {
        box.write("old", "0123456789")
        box.write("emptied", "0123456789")
        let view = try box.view(
            [
                "--file", "r:\(box["old"])", "--file", "w:\(box["w"]):w,create", "--file", "rw:\(box["old"]):rw",
                "--file", "a:\(box["a"]):a,create,excl", "--file", "t:\(box["emptied"]):rw,trunc",
                "--file", "colon:\(box["old"]):r",
            ], [.umask("027")])
        #expect(view.descriptors == Array(0...8))
        func access(_ fd: Int) -> Int { (Int(view.flags(fd).split(separator: "=").last!, radix: 8) ?? -1) & 0o2003 }
        #expect(access(3) == 0)
        #expect(access(4) == 1)
        #expect(access(5) == 2)
        #expect(access(6) == 0o2001)
        #expect(access(7) == 2)
        #expect(view.link(4) == box["w"])
        #expect(box.status("w")?.st_mode == S_IFREG | 0o640)
        #expect(box.status("emptied")?.st_size == 0)
        #expect(box.status("old")?.st_size == 10)
        #expect(view.variable("LISTEN_FDNAMES") == "r:w:rw:a:t:colon")
        #expect(view.variable("LISTEN_FDS") == "6")
    }

    /// In a directory that everybody may write, anybody could put something else in the socket's place.
    @Test func directoryOfEverybody() throws {
        let folder = box.makeDirectory("everybodys", mode: 0o777)
        let options: [ByteString] = ["--socket", "s:unix:\(folder)/s.sock"]
        let outcome = try box.run(options + ["--", "/bin/echo", "started"])
        #expect(outcome.exit == 111 && outcome.output == "" && !box.exists("everybodys/s.sock"))
        #expect(outcome.errors.contains("everybody may replace files in \(folder)"), "\(outcome.errors)")
        // Where the others may not remove it, as in /tmp, it is taken.
        chmod(folder, 0o1777)
        #expect(try box.view(options).socket(3, "listening") == 1)
    }

    /// Who made the pipe could have us wait for ever.
    @Test func pipeOfAnotherUser() throws {
        try Tool.requireRoot()
        let pipe = box["pipe"]
        #expect(mkfifo(pipe, 0o666) == 0 && chown(pipe, 65534, 65534) == 0)
        let outcome = try box.run(["--file", "p:\(pipe)", "--", "/bin/echo", "started"])
        #expect(outcome.exit == 111 && outcome.errors.contains("pipe of uid 65534"), "\(outcome.errors)")
    }

    /// Opened as root, read by somebody who may not open it.
    @Test func fileOpenedBeforeTheDrop() throws {
        try Tool.requireRoot()
        box.write("key", "secret", mode: 0o600)
        let outcome = try box.run([
            "--file", "key:\(box["key"])", "--user", "nobody", "--", "/bin/sh", "-c", "cat <&3; cat \"$0\"",
            "\(box["key"])",
        ])
        #expect(outcome.output == "secret")
        #expect(outcome.exit == 1)
    }

    @Test func targetFoundInItsOwnPath() throws {
        mkdir(box["here"], 0o755)
        box.write(box["here/odd name"], Array("#!/bin/sh\necho \"$0\"\n".utf8), mode: 0o755)
        let outcome = try box.run(["--env", "PATH=/nonexistent:\(box["here"])", "odd name"])
        #expect(outcome.errors == "")
        #expect(outcome.output.text == "\(box["here/odd name"])\n")
    }

    @Test func exitStatusIsTheTargets() throws {
        #expect(try box.run(socket + ["/bin/sh", "-c", "exit 42"]).exit == 42)
        let killed = try box.run(socket + ["/bin/sh", "-c", "kill -TERM $$"])
        #expect(killed.exit == nil)
        #expect(killed.status & 0x7F == SIGTERM)
    }

    @Test func oneThousandSockets() throws {
        var options: [ByteString] = []
        for number in 0..<1000 { options += ["--socket", "s\(number):127.0.0.1:0"] }
        let view = try box.view(options, [.descriptorLimit(4096)])
        #expect(view.descriptors == Array(0...1002))
        #expect(view.variable("LISTEN_FDS") == "1000")
        #expect(view.variable("LISTEN_FDNAMES") == (0..<1000).map { "s\($0)" }.joined(separator: ":"))
        #expect(Set((3...1002).map { view.port($0) }).count == 1000)
        #expect((3...1002).allSatisfy { view.socket($0, "listening") == 1 })
    }

    @Test func withoutProc() throws {
        try Tool.requireRoot()
        let outcome = try box.run(
            socket + ["--user", "nobody", ByteString(try box.target("view"))], [.open(57, "/dev/full"), .withoutProc])
        #expect(outcome.errors == "")
        let view = try View(outcome.output)
        #expect(view.descriptors == [0, 1, 2, 3])
        #expect(view.uid == "65534 65534 65534")
        #expect(view.pid == "\(outcome.pid)")
    }
}
