import Foundation
import Testing

@testable import ReusePortKit

/// Whether `text` is `pattern`, in which … stands for anything.
func matches(_ text: String, _ pattern: String) -> Bool {
    let parts = pattern.components(separatedBy: "…")
    guard parts.count > 1 else { return text == pattern }
    guard text.hasPrefix(parts[0]) else { return false }
    var rest = text.dropFirst(parts[0].count)
    for part in parts.dropFirst().dropLast() {
        guard let range = rest.range(of: part) else { return false }
        rest = rest[range.upperBound...]
    }
    return rest.hasSuffix(parts[parts.count - 1])
}

/// Expects one line, `unable to MESSAGE`, and an exit code.
func expectFailure(
    _ outcome: Outcome, _ exit: Int32, _ message: String, _ location: SourceLocation = #_sourceLocation
) {
    #expect(outcome.exit == exit, sourceLocation: location)
    expectOneLine(outcome, location)
    let expected = "reuseport-exec: fatal: unable to \(message)\n"
    #expect(
        matches(outcome.errors, expected), "expected \(expected)but got \(outcome.errors)", sourceLocation: location)
}

/// Everything that can be wrong with what was typed: one line that says what to do, and exit code 100.
@Suite struct UsageTests {
    struct Case: CustomTestStringConvertible, Sendable {
        let options: [ByteString]
        let message: String
        init(_ options: ByteString..., says message: String) { (self.options, self.message) = (options, message) }
        var testDescription: String { options.map(\.printable.text).joined(separator: " ") }
    }

    static let cases: [Case] = [
        // Options
        Case("--sokcet", "x", says: "parse --sokcet: unknown option; did you mean --socket?"),
        Case("--sockets=x:y", says: "parse --sockets: unknown option; did you mean --socket?"),
        Case(
            "--no-new-priv", says: "parse --no-new-priv: unknown option; did you mean --no-new-privs?"),
        Case("--xyzzyxyzzy", says: "parse --xyzzyxyzzy: unknown option; see reuseport-exec --help"),
        Case("-x", says: "parse -x: unknown option; …"),
        Case("-u", "nobody", says: "parse -u: unknown option; …"),
        Case(ByteString([0x2D, 0x2D, 0xFF, 0x0A]), says: "parse --\\xff\\n: unknown option; …"),
        Case("--dry-run=yes", says: "parse --dry-run=yes: this option takes no value"),
        Case("--user", "a", "--user", "b", says: "parse --user b: this option was given before, and takes one value"),
        Case("--pass", "nginx", "--pass", "nginx", says: "parse --pass nginx: this option was given before, …"),
        Case("--no-groups", "--no-groups", says: "parse --no-groups: this option was given before, …"),
        Case("--json", says: "parse --json: it goes with --dry-run, and with deploy"),
        Case("--keep-env", "A", says: "parse --keep-env A: it goes with --clear-env"),
        Case("--groups", "a", "--no-groups", says: "parse --no-groups: --groups and --no-groups exclude each other"),
        Case("--help", "xyzzy", says: "show help on xyzzy: unknown topic; use sockets, files, …verbs or codes"),
        // Addresses, with the part that is wrong
        Case("--socket", "http", says: "parse --socket http: the name is missing; write NAME:ADDRESS, …"),
        Case("--socket", ":127.0.0.1:80", says: "parse --socket :127.0.0.1:80: the name is missing; …"),
        Case(
            "--socket", "h:80", says: "parse --socket h:80: the port is missing in '80'; for all addresses write *:80"),
        Case(
            "--socket", "h:1.2.3.4",
            says: "parse --socket h:1.2.3.4: the port is missing in '1.2.3.4'; write 1.2.3.4:PORT"),
        Case(
            "--socket", "h:localhost:80",
            says: "parse --socket h:localhost:80: 'localhost' is no IPv4 address; names are not looked up; …"),
        Case("--socket", "h:256.0.0.1:80", says: "…: '256.0.0.1' is no IPv4 address; …"),
        Case("--socket", "h:0127.0.0.1:80", says: "…: '0127.0.0.1' is no IPv4 address; …"),
        Case("--socket", "h:127.1:80", says: "…: '127.1' is no IPv4 address; …"),
        Case("--socket", "h:1.2.3.4.5:80", says: "…: '1.2.3.4.5' is no IPv4 address; …"),
        Case("--socket", "h: 1.2.3.4:80", says: "…: ' 1.2.3.4' is no IPv4 address; …"),
        Case("--socket", "h:127.0.0.1:65536", says: "…: '65536' is no port; ports are numbers from 0 to 65535"),
        Case("--socket", "h:127.0.0.1:http", says: "…: 'http' is no port; …"),
        Case("--socket", "h:127.0.0.1:", says: "…: '' is no port; …"),
        Case("--socket", "h:127.0.0.1:-1", says: "…: '-1' is no port; …"),
        Case("--socket", "h:127.0.0.1:99999999999999999999999", says: "…: '99999999999999999999999' is no port; …"),
        Case("--socket", "h:::1:80", says: "…: '::1' has colons; write IPv6 addresses in brackets: [ADDRESS]:PORT"),
        Case("--socket", "h:[::1:80", says: "…: the closing ] is missing"),
        Case("--socket", "h:[::1]", says: "…: the port is missing; write [::1]:PORT"),
        Case("--socket", "h:[::g]:80", says: "…: '::g' is no IPv6 address"),
        Case(
            "--socket", "h:[::ffff:127.0.0.1]:80",
            says: "…: '::ffff:127.0.0.1' is an IPv4 address; write 127.0.0.1:80"),
        Case("--socket", "h:[fe80::1%]:80", says: "…: the interface behind % is missing"),
        Case(
            "--socket", "h:[fe80::1%nosuchif]:80",
            says: "find interface nosuchif of socket h: there is no such interface"),
        Case("--socket", "h:unix:", says: "…: the path is missing; write unix:/run/NAME.sock"),
        Case("--socket", "h:unix:@x", says: "…: abstract names …"),
        Case("--socket", "h:unix:/run/x/", says: "…: the path ends in a slash"),
        Case(
            "--socket", ByteString("h:unix:/" + String(repeating: "x", count: 107)),
            says: "bind socket h to unix:/xxx…: the path has 108 bytes, and a unix socket's may have 107"),
        Case("--socket", "h:udp:80", says: "…: the port is missing in '80'; …"),
        // Socket options
        Case("--socket", "h:*:0,backlgo=5", says: "…: unknown socket option 'backlgo'; did you mean backlog?"),
        Case("--socket", "h:*:0,quux=5", says: "…: unknown socket option 'quux'; use backlog, mode, …"),
        Case("--socket", "h:*:0,", says: "…: unknown socket option ''; …"),
        Case("--socket", "h:*:0,backlog=0", says: "…: '0' is no backlog; …"),
        Case("--socket", "h:*:0,backlog", says: "…: 'backlog' needs a value"),
        Case("--socket", "h:*:0,backlog=5,backlog=6", says: "…: 'backlog' is given twice"),
        Case("--socket", "h:*:0,mode=660", says: "…: 'mode' is for unix sockets"),
        Case("--socket", "h:*:0,owner=nobody", says: "…: 'owner' is for unix sockets"),
        Case("--socket", "h:unix:/x,mode=888", says: "…: '888' is no mode; write it in octal, …"),
        Case("--socket", "h:unix:/x,nodelay", says: "…: 'nodelay' is for tcp sockets"),
        Case("--socket", "h:unix:/x,freebind", says: "…: 'freebind' is for tcp and udp sockets"),
        Case("--socket", "h:udp:*:0,backlog=5", says: "…: 'backlog' is for tcp and unix sockets"),
        Case("--socket", "h:udp:*:0,listen=no", says: "…: 'listen' is for tcp and unix sockets"),
        Case("--socket", "h:*:0,listen=yes", says: "…: unknown socket option 'listen=yes'; use listen=no"),
        Case("--socket", "h:*:0,freebind=1", says: "…: 'freebind' takes no value"),
        Case("--socket", "h:*:0,fd=x", says: "…: 'x' is no descriptor number"),
        Case(
            "--socket", "h:*:0,bind-dev=interfacewithlongname",
            says: "…: 'interfacewithlongname' is too long for an interface; …"),
        Case(
            "--socket", "h:unix:/x,owner=no-such-user-here",
            says: "find user no-such-user-here: there is no such user; …"),
        Case(
            "--socket", "h:unix:/x,group=no-such-group-here",
            says: "find group no-such-group-here: there is no such group; …"),
        // Files
        Case("--file", "key", says: "parse --file key: the name is missing; write NAME:PATH"),
        Case("--file", "key:", says: "parse --file key:: the path is missing"),
        Case(
            "--file", "key:/x:q",
            says:
                "parse --file key:/x:q: unknown flag 'q'; use r, w, rw, a, create, excl or trunc; "
                + "a path with a colon needs its flags written: PATH:r"
        ),
        Case("--file", "key:/x:r,w", says: "…: more than one of r, w, rw, a in 'r,w'"),
        Case("--file", "key:/x:w,excl", says: "…: 'excl' goes with 'create'"),
        Case("--file", "key:/x:r,trunc", says: "…: 'trunc' needs w, rw or a"),
        // Names
        Case(
            "--socket", "a:*:0", "--socket", "a:*:0",
            says: "parse name a: it is given twice; every socket and file needs its own name"),
        Case("--socket", "a b:*:0", "--file", "a b:/etc/passwd", says: "parse name a b: it is given twice; …"),
        Case("--file", "\"\n:/x", "--file", "\"\n:/y", says: "parse name \"\\n: it is given twice; …"),
        // Descriptors
        Case(
            "--socket", "a:*:0,fd=5", "--socket", "b:*:0,fd=5",
            says: "place socket b at descriptor 5: another socket has fd=5"),
        Case("--socket", "a:*:0,fd=5", "--keep-fd", "5", says: "place socket a at descriptor 5: --keep-fd 5 has it"),
        Case("--keep-fd", "2", says: "parse --keep-fd 2: 0, 1 and 2 are always kept"),
        Case("--keep-fd", "x", says: "parse --keep-fd x: 'x' is no descriptor number"),
        Case("--keep-fd", "9", "--keep-fd", "9", says: "parse --keep-fd 9: descriptor 9 is named twice"),
        // Users and groups
        Case(
            "--user", "no-such-user-here", says: "find user no-such-user-here: there is no such user; see getent passwd"
        ),
        Case("--user", "nobody:no-such-group-here", says: "find group no-such-group-here: there is no such group; …"),
        Case("--user", "", says: "parse --user …: the user is empty"),
        Case("--user", ":daemon", says: "parse --user :daemon: the user's name is empty"),
        Case("--user", "nobody:", says: "parse --user nobody:: the group's name is empty"),
        Case("--user", "1234567", says: "find the group of user 1234567: …; write 1234567:GROUP"),
        Case("--user", "4294967295:1", says: "…user…4294967295…"),
        Case("--user", "1:4294967295", says: "…group…4294967295…"),
        Case("--user", "4294967296:1", says: "…user…4294967296…"),
        Case("--user", "-1:1", says: "find user -1: there is no such user; …"),
        Case("--groups", "4294967295", says: "…group…4294967295…"),
        Case("--groups", "", says: "parse --groups …: a group's name is empty; for none at all use --no-groups"),
        Case("--groups", "daemon,no-such-group-here", says: "find group no-such-group-here: …"),
        // The rest
        Case("--umask", "8", says: "parse --umask 8: '8' is no mode; …"),
        Case("--umask", "1000", says: "parse --umask 1000: '1000' is no mode; …"),
        Case("--env", "A", says: "parse --env A: this is not NAME=VALUE"),
        Case("--env", "=x", says: "parse --env =x: this is not NAME=VALUE"),
        Case("--env", "A=1", "--env", "A=2", says: "parse --env A=2: variable A is set twice"),
        Case("--clear-env", "--keep-env", "A=1", says: "parse --keep-env A=1: a name has no ="),
        Case(
            "--pass", "systemdd", says: "parse --pass systemdd: unknown dialect 'systemdd'; did you mean systemd?"),
        Case(
            "--pass", "quuxquux",
            says: "parse --pass quuxquux: unknown dialect 'quuxquux'; use systemd, …"),
        Case("--pass", "nginx,nginx", says: "parse --pass nginx,nginx: dialect 'nginx' is named twice"),
        Case("--pass", "", says: "parse --pass …: unknown dialect ''; …"),
        Case("--chroot", "", says: "parse --chroot …: the directory is empty"),
        Case(
            "--ready", "accpet", says: "parse --ready accpet: unknown readiness check 'accpet'; did you mean accept?"),
        Case(
            "--ready", "quux", says: "…: unknown readiness check 'quux'; use accept, http:NAME:/path, …COMMAND or none"),
        Case("--steering", "quuxquux", says: "…: unknown steering 'quuxquux'; use auto, ebpf, cbpf or off"),
        Case("--balance", "quuxquux", says: "…: unknown balance 'quuxquux'; use random, client-ip, cpu or hash"),
        Case("--on", "upstart", says: "…: unknown supervisor 'upstart'; use runit:DIR, s6:SCANDIR or systemd"),
        Case("--stop-signal", "QUUX", says: "…: unknown signal 'QUUX'; use a name like TERM, or a number"),
        Case("--log", "{kopy}", says: "…: unknown template in '{kopy}'; use {copy}"),
        // Where they mean nothing
        Case("--settle", "1s", says: "parse --settle: it goes with --app"),
        Case("--suspended", says: "parse --suspended: it goes with deploy"),
        Case("--copies", "auto", says: "parse --copies: it goes with deploy"),
        Case("--pid", "1", says: "parse --pid: unknown option; …"),
        Case(
            "--env", "A={fd:x}",
            says: "fill in {fd:x} in --env A: no socket or file has this name; for a literal brace write {{"),
        Case(
            "--socket", "u:unix:/x", "--env", "A={port:u}",
            says: "fill in {port:u} in --env A: a unix socket has no port"),
        Case("--socket", "a:*:0", "--env", "A={path:a}", says: "fill in {path:a} in --env A: this socket has no path"),
    ]

    @Test(arguments: cases) func usage(_ one: Case) throws {
        let box = Sandbox()
        let outcome = try box.run(one.options + ["--", "/bin/echo", "reached the target"])
        expectFailure(outcome, 100, one.message)
    }

    @Test func withoutCommand() throws {
        let box = Sandbox()
        for options in [["--"], ["--socket", "a:127.0.0.1:0"], ["--dry-run"]] as [[ByteString]] {
            expectFailure(try box.run(options), 100, "run: no command was given; usage: …")
        }
        expectFailure(try box.run([""]), 100, "run: the command's name is empty; …")
        expectFailure(try box.run(["--", ""]), 100, "run: the command's name is empty; …")
    }

    @Test(
        arguments: Option.all.filter { $0.value != nil && $0.key != .help && !$0.places.isEmpty }.map(\.text))
    func missingValue(option: ByteString) throws {
        let outcome = try Sandbox().run([option])
        expectFailure(outcome, 100, "parse \(option.text): the value is missing; write \(option.text) …")
    }

    @Test func emptyArgumentList() throws {
        let outcome = try Sandbox().run([], [.noArguments])
        #expect(outcome.exit == 100)
        #expect(outcome.errors.contains("\nreuseport-exec: fatal: unable to run: no command was given; "))
    }

    /// A word that is no verb does not run a program, whatever it is called.
    @Test(arguments: [
        ("stop", "did you mean terminate? To"), ("rm", "did you mean forget? To"), ("ps", "did you mean list? To"),
        ("status", "did you mean state? To"), ("reload", "did you mean migrate? To"),
        ("up", "did you mean deploy? To"), ("lsit", "did you mean list? To"),
        ("log", "did you mean logs? To"), ("purge", "did you mean forget? To"),
        ("touch", "see reuseport-exec --help; to"),
        ("id", "see reuseport-exec --help; to"),
    ])
    func wordsThatAreNoVerbs(word: String, meant: String) throws {
        let box = Sandbox()
        // The program that would have run, and what it would have done.
        let folder = box.makeDirectory("programs")
        box.write("programs/\(word)", "#!/bin/sh\n: >\"$1\"\n", mode: 0o755)
        let environment: [ByteString] = ["PATH=\(folder):/usr/bin:/bin"]
        let words: [ByteString] = [ByteString(word), ByteString(box["trace"])]
        expectFailure(
            try box.run(words, environment: environment), 100,
            "run \(word): reuseport-exec has no such verb; \(meant) run a program, write reuseport-exec -- \(word)")
        #expect(!box.exists("trace"))
        for marked in [["--"] + words, ["--umask", "022"] + words, [ByteString("\(folder)/\(word)"), words[1]]] {
            #expect(try box.run(marked, environment: environment).exit == 0)
            #expect(box.exists("trace"))
            unlink(box["trace"])
        }
    }

    /// A socket behind the command is none of ours; it is refused where there is no other, and nothing says that it is
    /// meant so.
    @Test func socketBehindTheCommand() throws {
        let box = Sandbox()
        let echo: [ByteString] = ["/bin/echo", "--socket", "http:127.0.0.1:0"]
        let says = "parse --socket http:127.0.0.1:0: it stands behind /bin/echo, as its argument; move it before …"
        for words in [echo, ["--umask", "022"] + echo, ["/bin/echo", "--socket=http:127.0.0.1:0"]] {
            expectFailure(try box.run(words), 100, says)
        }
        expectFailure(try box.run(["deploy", "web", "--run-dir", ByteString(box["run"])] + echo), 100, says)
        for before in [["--"], ["--socket", "a:127.0.0.1:0"]] as [[ByteString]] {
            #expect(try box.run(before + echo).output == "--socket http:127.0.0.1:0\n")
        }
        // Not in our form, so the command's own.
        for value in ["/run/x", "127.0.0.1:80", "x"] as [ByteString] {
            #expect(try box.run(["/bin/echo", "--socket", value]).output == "--socket \(value)\n")
        }
        #expect(try box.run(["/bin/echo", "--user", "root"]).output == "--user root\n")
    }

    @Test func unknownNameInArgument() throws {
        let box = Sandbox()
        expectFailure(
            try box.run(["--socket", "http:127.0.0.1:0", "/bin/true", "x{fd:htpt}"]), 100,
            "fill in {fd:htpt} in argument 1 of the command: no socket or file has this name…")
    }

    /// Nothing has happened when the mistake is in the last word.
    @Test func nothingIsTouchedBeforeAllIsUnderstood() throws {
        let box = Sandbox()
        let outcome = try box.run([
            "--socket", "u:unix:\(box["u.sock"])", "--file", "f:\(box["new"]):w,create", "/bin/true", "{fd:x}",
        ])
        #expect(outcome.exit == 100)
        #expect(!box.exists("u.sock"))
        #expect(!box.exists("new"))
    }

    @Test func parsingStopsAtTheCommand() throws {
        let outcome = try Sandbox().run(["--socket=a:127.0.0.1:0", "/bin/echo", "--socket", "--", "--help"])
        #expect(outcome.output == "--socket -- --help\n")
    }

    @Test func verbAfterHyphensIsACommand() throws {
        let box = Sandbox()
        box.write(box["list"], Array("#!/bin/sh\necho ran\n".utf8), mode: 0o755)
        let outcome = try box.run(["--", "list"], environment: ["PATH=\(box.path)"])
        #expect(outcome.output == "ran\n")
    }
}

/// What the system refuses: exit code 111, 126 or 127, and nothing left behind.
@Suite struct FaultTests {
    let box = Sandbox()
    /// A Unix socket and a new file that must be gone after every failure.
    private var traces: [ByteString] {
        ["--socket", "trace:unix:\(box["trace.sock"])", "--file", "trail:\(box["trail"]):w,create"]
    }

    private func expectNoTrace(_ location: SourceLocation = #_sourceLocation) {
        #expect(!box.exists("trace.sock"), sourceLocation: location)
        #expect(!box.exists("trail"), sourceLocation: location)
    }

    /// Runs into a failure that comes after the traces have been made.
    private func fail(
        _ options: [ByteString], _ exit: Int32, _ message: String, target: [ByteString] = ["/bin/echo", "reached"],
        _ steps: [Step] = [], _ location: SourceLocation = #_sourceLocation
    ) throws {
        expectFailure(try box.run(traces + options + ["--"] + target, steps), exit, message, location)
        expectNoTrace(location)
    }

    private var ownName: String {
        (try? String(contentsOfFile: "/proc/self/comm", encoding: .utf8))?.trimmingCharacters(in: .newlines) ?? ""
    }

    // MARK: Ports

    @Test func takenByANonSharingSocket() throws {
        let holder = try Endpoint.bound(.v4(0))
        // What other tests fork meanwhile holds it too, until its exec: then it is `and 1 more, which do not share it`.
        try fail(
            ["--socket", "http:127.0.0.1:\(holder.port)"], 111,
            "bind socket http to 127.0.0.1:\(holder.port): "
                + "port \(holder.port) is held by pid \(getpid()) (\(ownName))…, "
                + "which do… not share it; stop it, choose another port, or have it set SO_REUSEPORT")
    }

    @Test func takenBySharingSocketOfAnother() throws {
        try Tool.requireRoot()
        let port = try freePort()
        let holder = try box.start(
            ["--socket", "http:127.0.0.1:\(port)", "/bin/sh", "-c", "echo ready; exec sleep 1000"],
            [.user(65534, 65534)])
        #expect(try holder.line() == "ready")
        try fail(
            ["--socket", "http:127.0.0.1:\(port)"], 111,
            "bind socket http to 127.0.0.1:\(port): "
                + "port \(port) is held by sockets of uid 65534 (nobody), pid \(holder.pid) "
                + "(sleep), that share it, but every generation must bind under the same uid; "
                + "stop it, or start this as uid 65534 (nobody) instead of uid 0")
    }

    /// The one it would share with is of another user: the other way round, without the right to look into it.
    @Test func takenByRootsSocket() throws {
        try Tool.requireRoot()
        let holder = try Endpoint.bound(.v4(0), share: true)
        let outcome = try box.run(["--socket", "http:127.0.0.1:\(holder.port)", "/bin/true"], [.user(65534, 65534)])
        expectFailure(
            outcome, 111,
            "bind socket http to 127.0.0.1:\(holder.port): "
                + "port \(holder.port) is held by a socket of uid 0 (root), …, and every "
                + "generation must bind under the same uid; run as root to see which process that is")
    }

    @Test func takenWithoutProc() throws {
        try Tool.requireRoot()
        let holder = try Endpoint.bound(.v4(0))
        try fail(
            ["--socket", "http:127.0.0.1:\(holder.port)"], 111,
            "bind socket http to 127.0.0.1:\(holder.port): port \(holder.port) is held by a socket of uid 0 (root), …, "
                + "which does not share it; mount /proc to see which process that is", [.withoutProc])
    }

    @Test func privilegedPort() throws {
        try Tool.requireRoot()
        let steps: [Step] = [
            .networkNamespace, .sysctl("net/ipv4/ip_unprivileged_port_start=1024"), .user(65534, 65534),
        ]
        expectFailure(
            try box.run(["--socket", "http:127.0.0.1:80", "/bin/true"], steps), 111,
            "bind socket http to 127.0.0.1:80: permission denied; …1024…"
                + "root…CAP_NET_BIND_SERVICE…ip_unprivileged_port_start…"
        )
        let allowed: [Step] = [
            .networkNamespace, .sysctl("net/ipv4/ip_unprivileged_port_start=80"), .user(65534, 65534),
        ]
        #expect(try box.view(["--socket", "http:127.0.0.1:80"], allowed).port(3) == "80")
        expectFailure(
            try box.run(["--socket", "http:127.0.0.1:79", "/bin/true"], allowed), 111,
            "bind socket http to 127.0.0.1:79: permission denied; …80…")
    }

    @Test func privilegedPortAsRoot() throws {
        try Tool.requireRoot()
        let view = try box.view(["--socket", "http:*:80", "--user", "nobody"], [.networkNamespace])
        #expect(view.port(3) == "80")
        #expect(view.uid == "65534 65534 65534")
    }

    @Test func addressOfAnotherHost() throws {
        try fail(
            ["--socket", "http:192.0.2.77:0"], 111,
            "bind socket http to 192.0.2.77:0: cannot assign requested address; "
                + "192.0.2.77 is no address of this host; …"
        )
        try fail(["--socket", "http:[2001:db8::77]:0"], 111, "bind socket http to [2001:db8::77]:0: cannot assign…")
    }

    @Test func interfaceThatIsNotThere() throws {
        try fail(["--socket", "http:*:0,bind-dev=nosuchif"], 111, "…socket http: no such device…")
    }

    @Test func linkLocalWithoutInterface() throws {
        try fail(["--socket", "http:[fe80::77]:0"], 111, "bind socket http to [fe80::77]:0: …[ADDRESS%INTERFACE]:PORT")
    }

    // MARK: Descriptors

    @Test func outOfDescriptors() throws {
        var options: [ByteString] = []
        for number in 0..<40 { options += ["--socket", "s\(number):127.0.0.1:0"] }
        try fail(options, 111, "…too many open files; …raise ulimit -n", [.descriptorLimit(24)])
        let far: [ByteString] = ["--socket", "a:127.0.0.1:0,fd=500", "--pass", "nginx"]
        try fail(far, 111, "…ulimit -n", [.descriptorLimit(256)])
        expectFailure(
            try box.run(far + ["/bin/true"], [.descriptorLimit(256)]), 111,
            "move a descriptor to 500: …; the number is beyond ulimit -n")
    }

    @Test func keptDescriptorThatIsNotOpen() throws {
        try fail(
            ["--keep-fd", "77"], 111, "keep descriptor 77: bad file descriptor; the caller has not opened it",
            [.umask("022")])
        // Not even when a number is meanwhile in use by what is being prepared.
        for number in 3...12 {
            try fail(
                ["--keep-fd", ByteString(decimal: number), "--pass", "nginx"], 111,
                "keep descriptor \(number): bad file descriptor; the caller has not opened it", [.umask("022")])
        }
    }

    // MARK: Files

    @Test func fileProblems() throws {
        let missing = box["missing"]
        try fail(["--file", "key:\(missing)"], 111, "open file key at \(missing): no such file or directory")
        try fail(
            ["--file", "key:\(missing):w"], 111,
            "open file key at \(missing): no such file or directory; add the flag create to make it")
        try fail(
            ["--file", "key:\(missing)/x:w,create"], 111,
            "open file key at \(missing)/x: no such file or directory; its part 'missing' is not there")
        try fail(["--file", "key:\(box.path)"], 111, "open file key at \(box.path): it is a directory…")
        try fail(["--file", "key:/"], 111, "open file key at /: it is a directory…")
        let present = box.write("present", "content")
        try fail(["--file", "key:\(present):w,create,excl"], 111, "create file key at \(present): file exists")
        try fail(["--file", "key:\(present)/x"], 111, "open file key at \(present)/x: not a directory")
    }

    @Test func unreadableFile() throws {
        try Tool.requireRoot()
        let path = box.write("secret", "x", mode: 0o600)
        let outcome = try box.run(["--file", "key:\(path)", "/bin/true"], [.user(65534, 65534)])
        expectFailure(outcome, 111, "open file key at \(path): permission denied")
    }

    /// A later failure takes back what was made and leaves what was there.
    @Test func laterFailureTakesBack() throws {
        let old = box.write("old", "content")
        try fail(
            ["--file", "old:\(old):rw,create,trunc", "--socket", "http:192.0.2.77:0"], 111,
            "bind socket http to 192.0.2.77:0: …")
        try fail(
            ["--file", "old:\(old):w,trunc", "--chdir", ByteString(box["missing"])], 111, "change the directory to …")
        #expect(try String(contentsOfFile: old, encoding: .utf8) == "content")
    }

    @Test func targetThatIsMissingLosesNoContent() throws {
        let old = box.write("old", "content")
        try fail(
            ["--file", "old:\(old):w,trunc"], 127, "execute \(box["missing"]): …", target: [ByteString(box["missing"])])
        #expect(try String(contentsOfFile: old, encoding: .utf8) == "content")
    }

    /// Somebody else's link in somebody else's directory leads a privileged process nowhere.
    @Test func planted() throws {
        try Tool.requireRoot()
        let victim = box.write("victim", "content", mode: 0o600)
        let directory = box.makeDirectory("theirs", owner: 65534)
        symlink(victim, "\(directory)/link")
        lchown("\(directory)/link", 65534, 65534)
        symlink(box.path, "\(directory)/up")
        lchown("\(directory)/up", 65534, 65534)
        symlink(box["new"], "\(directory)/dangling")
        lchown("\(directory)/dangling", 65534, 65534)
        link(victim, "\(directory)/hard")
        for name in ["link", "up/victim", "hard", "dangling"] {
            let path = "\(directory)/\(name)"
            try fail(["--file", "log:\(path):w,create,trunc"], 111, "trust file log at \(path): …")
        }
        #expect(try String(contentsOfFile: victim, encoding: .utf8) == "content")
        #expect(!box.exists("new"))
        // Root's own link is followed.
        symlink(victim, box["own"])
        let outcome = try box.run(["--file", "key:\(box["own"])", "/bin/sh", "-c", "cat <&3"])
        #expect(outcome.output == "content")
    }

    // MARK: Unix sockets

    @Test func somethingElseIsThere() throws {
        let path = box["there"]
        let options: [ByteString] = ["--socket", "u:unix:\(path)"]
        box.write("there", "content")
        try fail(options, 111, "bind socket u to unix:\(path): a file that is no socket is there; …")
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "content")
        unlink(path)
        mkdir(path, 0o755)
        try fail(options, 111, "bind socket u to unix:\(path): a directory is there; …")
        rmdir(path)
        symlink(box["nowhere"], path)
        try fail(options, 111, "bind socket u to unix:\(path): a symbolic link is there; …")
        unlink(path)
        let other = try Endpoint.bound(.unix(box["other"]))
        symlink(box["other"], path)
        try fail(options, 111, "bind socket u to unix:\(path): a symbolic link is there; …")
        #expect(try Endpoint.connect(.unix(path)).fd != other.fd)
        unlink(path)
        mkfifo(path, 0o600)
        try fail(options, 111, "bind socket u to unix:\(path): a file that is no socket is there; …")
    }

    @Test func liveSocket() throws {
        let holder = try Endpoint.bound(.unix(box["live"]))
        let path = box["live"]
        try fail(
            ["--socket", "u:unix:\(path)"], 111,
            "bind socket u to unix:\(path): "
                + "pid \(getpid()) (\(ownName)) of uid \(geteuid()) (…) listens on it; stop it first"
        )
        #expect(try Endpoint.connect(.unix(path)).fd != holder.fd)
    }

    /// So busy that it takes no more connections, and still alive.
    @Test func liveSocketWithFullQueue() throws {
        let path = box["live"]
        let holder = try Endpoint.bound(.unix(path), backlog: 0)
        let waiting = try Endpoint.connect(.unix(path))
        try fail(["--socket", "u:unix:\(path)"], 111, "bind socket u to unix:\(path): address already in use…")
        #expect(box.exists("live"))
        _ = (holder, waiting)
    }

    @Test func liveDatagramSocket() throws {
        let path = box["live"]
        let holder = try Endpoint.bound(.unix(path), type: datagramSocket)
        try fail(["--socket", "u:unix:\(path)"], 111, "bind socket u to unix:\(path): address already in use…")
        _ = holder
    }

    @Test func staleSocketIsReplaced() throws {
        let path = box["stale"]
        try leaveStaleSocket(path)
        #expect(box.exists("stale"))
        let view = try box.view(["--socket", "u:unix:\(path),mode=640"])
        #expect(view.socket(3, "listening") == 1)
        #expect(box.status("stale")?.st_mode == S_IFSOCK | 0o640)
    }

    /// Of several that find the same stale path, one takes it, and the others do not take it away again.
    @Test func raceForAStalePath() throws {
        let path = box["stale"]
        try leaveStaleSocket(path)
        let script = "echo ready; exec sleep 1000"
        let all = try (0..<8).map { _ in
            try box.start(["--socket", "u:unix:\(path)", "/bin/sh", "-c", ByteString(script)])
        }
        var winners: [Running] = []
        for one in all {
            if try one.line() == "ready" {
                winners.append(one)
            } else {
                let outcome = try one.end()
                #expect(outcome.exit == 111)
                expectOneLine(outcome)
                #expect(outcome.errors.contains("unable to bind socket u to unix:\(path): "), "\(outcome.errors)")
            }
        }
        #expect(winners.count == 1)
        // The path is the winner's: nothing was put in its place.
        _ = try Endpoint.connect(.unix(path))
    }

    /// A socket that another launcher has bound just now, and that does not listen yet.
    @Test func boundSocketIsNotStale() throws {
        let path = box["bound"]
        let holder = try Endpoint.bound(.unix(path), backlog: nil)
        try fail(
            ["--socket", "u:unix:\(path)"], 111,
            "bind socket u to unix:\(path): address already in use: a process has bound a socket there; …")
        _ = holder
    }

    /// Whoever may read the directory can lock it, so that lock keeps nobody from anything.
    @Test func lockedDirectory() throws {
        let folder = box.makeDirectory("folder")
        let path = "\(folder)/u"
        let held = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        defer { close(held) }
        #expect(flock(held, LOCK_EX) == 0)
        let began = MonotonicClock.milliseconds
        try leaveStaleSocket(path)
        _ = try box.view(["--socket", "u:unix:\(path)"])
        #expect(MonotonicClock.milliseconds - began < 5000)
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder) == ["u"])
    }

    /// Above the directory, others could make the path lead elsewhere while it is bound.
    @Test func directoryBelowAnothers() throws {
        try Tool.requireRoot()
        _ = box.makeDirectory("theirs", owner: 65534)
        let folder = box.makeDirectory("theirs/run")
        let script = "import socket; print(socket.socket(fileno=3).getsockname()); input()"
        let process = try box.start(
            ["--socket", "u:unix:\(folder)/u", "--"]
                + [ByteString(try Tool.require("python3")), "-u", "-c", ByteString(script)])
        #expect(try process.line()?.hasPrefix("/proc/self/fd/") == true)
        #expect(box.status("theirs/run/u")?.st_mode ?? 0 & S_IFMT != 0)
    }

    @Test func modeAndMask() throws {
        _ = try box.view(["--socket", "u:unix:\(box["a"])", "--umask", "000"], [.umask("027")])
        #expect(box.status("a")?.st_mode == S_IFSOCK | 0o750)
        _ = try box.view(["--socket", "u:unix:\(box["b"]),mode=666"], [.umask("077")])
        #expect(box.status("b")?.st_mode == S_IFSOCK | 0o666)
    }

    @Test func directoryThatIsMissing() throws {
        try fail(
            ["--socket", "u:unix:\(box["no"])/u"], 111,
            "open directory \(box["no"]) of socket u: no such file or directory; its part 'no' is not there")
    }

    @Test func oddNames() throws {
        let odd = "a b'c\"d\ne\\f$g"
        let view = try box.view(
            ["--socket", "\(odd):unix:\(box[odd])", "--pass", "unicorn"], arguments: ["{path:\(odd)}"])
        #expect(view.arguments[1].text == box[odd])
        #expect((box.status(odd)?.st_mode ?? 0) & S_IFMT == S_IFSOCK)
        unlink(box[odd])
        box.write(odd, "content")
        try fail(
            ["--socket", "\(odd):unix:\(box[odd])", "--pass", "unicorn"], 111,
            "bind socket a b'c\"d\\ne\\f$g to unix:\(box.path)/a b'c\"d\\ne\\f$g: a file that is no socket is there; …")
        let outcome = try box.run([
            "--file", "\(odd):\(box[odd])", "--pass", "lactoserv", "/bin/sh", "-c", "cat <&3",
        ])
        #expect(outcome.output == "content")
    }

    // MARK: The drop

    @Test func notRoot() throws {
        try Tool.requireRoot()
        let steps: [Step] = [.user(65534, 65534)]
        _ = box.makeDirectory("theirs", owner: 65534)
        let theirs: [ByteString] = ["--socket", "u:unix:\(box["theirs/u.sock"])"]
        for (options, message) in [
            (["--user", "daemon"], "…operation not permitted; …root…"),
            (["--user", "root"], "…operation not permitted; …root…"),
            (["--groups", "0"], "set supplementary groups: operation not permitted; …root…"),
            (["--chroot", "/"], "change the root to /: operation not permitted; …root…"),
            (["--socket", "v:unix:\(box["v.sock"])"], "bind socket v to unix:\(box["v.sock"]): permission denied; …"),
        ] as [([ByteString], String)] {
            expectFailure(try box.run(theirs + options + ["/bin/true"], steps), 111, message)
            #expect(!box.exists("theirs/u.sock"))
        }
        // What one is already, one may become.
        let view = try box.view(theirs + ["--user", "nobody"], steps)
        #expect(view.uid == "65534 65534 65534")
    }

    /// Users of a directory service may be in more groups than the kernel takes.
    @Test func tooManyGroups() throws {
        try Tool.requireRoot()
        let file = box.write("groups", "groups: \((1...65537).map { "\($0)" }.joined(separator: ","))\n")
        expectFailure(
            try box.run(["--config", ByteString(file), "/bin/true"]), 111,
            "set supplementary groups: invalid argument; …--no-groups")
    }

    /// Root without capabilities cannot become anybody, and must not go on as root.
    @Test func rootWithoutCapabilities() throws {
        try Tool.requireRoot()
        let outcome = try box.run(["--user", "nobody", "/bin/echo", "reached"], [.dropCapabilities])
        expectFailure(outcome, 111, "…operation not permitted; …")
    }

    @Test func directoryTheUserMayNotEnter() throws {
        try Tool.requireRoot()
        let closed = box.makeDirectory("closed", mode: 0o700)
        try fail(
            ["--user", "nobody", "--chdir", ByteString(closed)], 111,
            "change the directory to \(closed): permission denied…")
    }

    @Test func missingDirectories() throws {
        let missing = box["missing"]
        try fail(
            ["--chdir", ByteString(missing)], 111, "change the directory to \(missing): no such file or directory")
        try Tool.requireRoot()
        try fail(["--chroot", ByteString(missing)], 111, "change the root to \(missing): no such file or directory")
        try fail(
            ["--chroot", ByteString(box.path), "--chdir", "/missing"], 111,
            "change the directory to /missing: no such file or directory")
    }

    // MARK: The target

    /// Each with the drop that has to be undone, and without.
    @Test(
        arguments: [[], ["--user", "nobody"], ["--chroot", "BOX"], ["--chroot", "BOX", "--user", "nobody"]]
            as [[ByteString]])
    func targets(options: [ByteString]) throws {
        if !options.isEmpty { try Tool.requireRoot() }
        let isInside = options.contains("--chroot")
        let options = options.map { $0 == "BOX" ? ByteString(box.path) : $0 }
        func name(_ file: String) -> ByteString { ByteString(isInside ? "/\(file)" : box[file]) }
        box.write("plain", "x", mode: 0o644)
        box.write(box["no-line"], Array("echo hello\n".utf8), mode: 0o755)
        box.write(box["no-interpreter"], Array("#!/no/such/interpreter\n".utf8), mode: 0o755)
        box.write(box["empty"], [], mode: 0o755)
        _ = box.makeDirectory("directory")
        for (file, exit, reason) in [
            ("missing", 127, "no such file or directory"),
            ("plain/x", 127, "not a directory"),
            ("plain", 126, "permission denied; …"),
            ("directory", 126, "permission denied; …"),
            ("no-line", 126, "exec format error; a script needs a first line like #!/bin/sh"),
            ("empty", 126, "exec format error; …"),
            ("no-interpreter", 126, "its interpreter or loader is missing; …"),
        ] as [(String, Int32, String)] {
            try fail(options, exit, "execute \(name(file).text): \(reason)", target: [name(file)])
        }
    }

    @Test func targetsInPath() throws {
        let one = box.makeDirectory("one")
        let two = box.makeDirectory("two")
        let path: [ByteString] = ["--env", "PATH=\(one):\(box["none"]):\(two)"]
        try fail(path, 127, "execute prog: it is not in PATH; …", target: ["prog"])
        box.write("\(one)/prog", Array("#!/bin/sh\n".utf8), mode: 0o644)
        try fail(path, 126, "execute \(one)/prog: permission denied; …", target: ["prog"])
        // As execvp(3): what may not be executed does not hide what may.
        box.write("\(two)/prog", Array("#!/bin/sh\necho ran\n".utf8), mode: 0o755)
        #expect(try box.run(path + ["prog"]).output == "ran\n")
        box.write("\(one)/prog", Array("echo no line\n".utf8), mode: 0o755)
        chmod("\(one)/prog", 0o755)
        try fail(path, 126, "execute \(one)/prog: exec format error; …", target: ["prog"])
    }

    @Test func targetTheUserMayNotExecute() throws {
        try Tool.requireRoot()
        let directory = box.makeDirectory("closed", mode: 0o700)
        box.write("\(directory)/prog", Array("#!/bin/sh\n".utf8), mode: 0o755)
        try fail(
            ["--user", "nobody"], 126, "execute \(directory)/prog: permission denied; …", target: ["\(directory)/prog"])
    }

    /// A directory that is not the user's: removing the path again needs rights that are gone by then.
    @Test func pathInRootsDirectoryIsRemovedAfterTheDrop() throws {
        try Tool.requireRoot()
        let directory = box.makeDirectory("roots", mode: 0o700)
        let options: [ByteString] = [
            "--socket", "u:unix:\(directory)/u.sock,owner=nobody", "--file", "f:\(directory)/f:a,create", "--user",
            "nobody",
        ]
        expectFailure(try box.run(options + ["/no/such/program"]), 127, "execute /no/such/program: …")
        #expect(try FileManager.default.contentsOfDirectory(atPath: directory) == [])
    }

    // MARK: Limits

    @Test func environmentAtTheLimit() throws {
        // A quarter of the stack limit is for arguments and environment (execve(2)): 2 MiB, less a little for what
        // `prepare` and the launcher have on their own command lines.
        let full: [Step] = [.stackLimit(8 << 20), .fillEnvironment(2 << 20 - 4096)]
        let view = try box.view(["--socket", "http:127.0.0.1:0"], full)
        let size = view.environment.reduce(0) { $0 + $1.count + 9 }
        #expect(size >= 2 << 20 - 4096)
        #expect(view.variable("FILL0") == String(repeating: "x", count: 100_000))
        #expect(view.variable("LISTEN_FDS") == "1")
        // Beyond: an argument that grows when it is filled in.
        let path = box[String(repeating: "p", count: 70)]
        let long = ByteString(String(repeating: "{path:u}", count: 1000))
        let outcome = try box.run(
            ["--socket", "u:unix:\(path)", "/bin/true", long],
            [.stackLimit(8 << 20), .fillEnvironment(2 << 20 - 16384)])
        expectFailure(outcome, 111, "execute /bin/true: argument list too long; …")
        #expect(!box.exists(path))
    }

    /// One string has a limit of its own: MAX_ARG_STRLEN, 32 pages.
    @Test func longestString() throws {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let longest = ByteString(String(repeating: "x", count: 32 * page - 1))
        #expect(try box.view([], arguments: [longest]).arguments[1] == longest)
        let path = box[String(repeating: "p", count: 60)]
        let outcome = try box.run(
            [
                "--socket", "u:unix:\(path)", "/bin/true",
                ByteString(String(repeating: "{path:u}", count: 32 * page / 16)),
            ])
        expectFailure(outcome, 111, "execute /bin/true: argument list too long; …")
        #expect(!box.exists(path))
    }

    /// The message has nowhere to go, and the exit code says it all the same.
    @Test func closedStandardError() throws {
        let outcome = try box.run(traces + ["/no/such/program"], [.close(2)])
        #expect(outcome.exit == 127)
        #expect(outcome.errors == "")
        expectNoTrace()
    }

    @Test func fullStandardError() throws {
        let outcome = try box.run(traces + ["/no/such/program"], [.open(2, "/dev/full")])
        #expect(outcome.exit == 127)
        expectNoTrace()
    }
}

/// A port that was free a moment ago, for sockets of another user, who could not join a reserved one.
func freePort() throws -> UInt16 { try Endpoint.bound(.v4(0), backlog: nil).port }
