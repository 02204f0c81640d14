import Foundation
import Testing

@testable import ReusePortKit

/// Configuration files: both forms, errors with file, line and column, and the command line's last word.
@Suite struct ConfigTests {
    let box = Sandbox()

    private func view(_ text: String, _ options: [ByteString] = [], arguments: [ByteString] = []) throws -> View {
        let file = box.write("config", text)
        return try box.view(["--config", ByteString(file)] + options, arguments: arguments)
    }

    private func run(_ text: String, _ more: [ByteString] = []) throws -> Outcome {
        try box.run(["--config", ByteString(box.write("config", text))] + more)
    }

    @Test func ownForm() throws {
        box.write("data", "content")
        let view = try view(
            """
            # A comment, and an empty line

            socket: http:127.0.0.1:0
            socket:b:[::1]:0,backlog=5
              file :  data:data:rw  \r
            env: GREETING=hello  world # not a comment
            env: FD={fd:data}
            umask: 027
            no-new-privs:
            pass: systemd,unicorn
            """)
        #expect(view.descriptors == [0, 1, 2, 3, 4, 5])
        #expect(view.link(5) == box["data"])
        #expect(view.variable("LISTEN_FDNAMES") == "http:b:data")
        #expect(view.variable("UNICORN_FD") == "3,4")
        #expect(view.variable("GREETING") == "hello  world # not a comment")
        #expect(view.variable("FD") == "5")
        #expect(view.umask == "027")
        #expect(view.status("NoNewPrivs") == "1")
    }

    private static let niagra = """
        socket: http 4 127.0.0.1 0 511
        socket: six 6 ::1 0
        socket: any 4 0.0.0.0 0
        file: key key r
        copies: 1
        command: ./it.sh 'one word'

        """

    /// As it was written for niagra, and so announced.
    @Test func niagrasForm() throws {
        box.write("key", "content")
        box.write("it.sh", "#!/bin/sh\nprintf '[%s]' \"$@\" \"$LISTEN_FDS\"\n", mode: 0o755)
        let outcome = try run(Self.niagra)
        #expect(outcome.errors == "")
        #expect(outcome.output == "[one word][--fd][http,3][--fd][six,4][--fd][any,5][--file][key,6][]")
    }

    /// niagra's last form: sockets have a type, and the program is told of its environment and of options.
    @Test func niagrasLastForm() throws {
        box.write("key", "content")
        box.write("it.sh", "#!/bin/sh\nprintf '[%s]' \"$@\" \"$LISTEN_FDS\"\n", mode: 0o755)
        let outcome = try run(
            """
            environment: production
            command: ./it.sh word
            socket: http insecure 4 127.0.0.1 0 20
            socket: https secure 4 127.0.0.1 0 20
            file: key key r
            app-x: 12
            copies: 1

            """)
        #expect(outcome.errors == "")
        #expect(
            outcome.output.text
                == "[word][--env][production][--app-x][12][--fd][http,insecure,3][--fd][https,secure,4][--file][key,5][]"
        )
    }

    @Test func niagrasLastFormRefused() throws {
        expectFailure(
            try run("socket: http secure 127.0.0.1 80\n"), 100,
            "…\(box["config"]):1:14: this is not NAME secure|insecure 4|6 HOST PORT [BACKLOG]")
        expectFailure(try run("app-memory-mx: 1G\n"), 100, "…did you mean app-memory-max?")
        for (line, column) in [("4 [::1] 80", 16), ("4 * 80", 16), ("4 udp:127.0.0.1 80", 16)] {
            expectFailure(
                try run("socket: http \(line)\n"), 100,
                "…\(box["config"]):1:\(column): this is no IPv\(line.prefix(1)) address")
        }
    }

    @Test(arguments: [false, true]) func niagrasFormOtherDialect(onCommandLine: Bool) throws {
        box.write("key", "content")
        box.write("it.sh", "#!/bin/sh\necho \"$LISTEN_FDNAMES $LISTEN_FDS $*\"\n", mode: 0o755)
        let outcome =
            try onCommandLine
            ? box.run(["--config", ByteString(box.write("config", Self.niagra)), "--pass", "systemd"])
            : run("pass: systemd\n\(Self.niagra)")
        #expect(outcome.errors == "")
        #expect(outcome.output == "http:six:any:key 4 one word\n")
    }

    @Test func niagrasUnixLine() throws {
        let view = try view("socket: app unix \(box["app.sock"]) 0\n")
        #expect(view.socket(3, "domain") == Int(AF_UNIX))
        #expect(box.exists("app.sock"))
    }

    @Test func relativeToTheFile() throws {
        mkdir(box["etc"], 0o755)
        box.write("etc/data", "content")
        let file = box.write("etc/config", "file: data:data\nsocket: u:unix:u.sock\nchdir: .\n")
        let view = try box.view(["--config", ByteString(file)])
        #expect(view.link(4) == box["etc/data"])
        #expect(box.exists("etc/u.sock"))
        #expect(view.directory == box["etc"])
    }

    @Test func relativeToAnotherDirectory() throws {
        mkdir(box["etc"], 0o755)
        box.write("data", "content")
        let file = box.write("etc/config", "relative-to: \(box.path)\nfile: data:data\nchdir: etc\n")
        let view = try box.view(["--config", ByteString(file)])
        #expect(view.link(3) == box["data"])
        #expect(view.directory == box["etc"])
        expectFailure(try run("relative-to: etc\n"), 100, "…\(box["config"]):1:14: 'etc' does not start at the root")
    }

    @Test func commandSplitting() throws {
        let outcome = try run(#"command: /usr/bin/printf '[%s]' a\ b "c 'd" 'e "f' "" 'it'\''s' "q\"q" {{x"#)
        #expect(outcome.output.text == #"[a b][c 'd][e "f][][it's][q"q][{x]"#)
    }

    @Test func commandLineWins() throws {
        let text = """
            socket: http:127.0.0.1:0,listen=no
            socket: other:127.0.0.1:0
            umask: 077
            env: A=file
            env: B=file
            pass: nginx
            command: /bin/echo from the file
            """
        let view = try view(
            text, ["--umask", "022", "--env", "A=line", "--pass", "systemd", "--socket", "http:[::1]:0"])
        #expect(view.umask == "022")
        #expect(view.variable("A") == "line")
        #expect(view.variable("B") == "file")
        #expect(view.variable("NGINX") == nil)
        #expect(Set(try #require(view.variable("LISTEN_FDNAMES")).split(separator: ":")) == ["http", "other"])
        let http = view.variable("LISTEN_FDNAMES") == "http:other" ? 3 : 4
        #expect(view.socket(http, "domain") == Int(AF_INET6))
        #expect(try run(text).output == "from the file\n")
        #expect(try run(text, ["/bin/echo", "from the line"]).output == "from the line\n")
    }

    struct Mistake: CustomTestStringConvertible, Sendable {
        let text: String
        let place: String
        let reason: String
        init(_ text: String, _ place: String, _ reason: String) {
            (self.text, self.place, self.reason) = (text, place, reason)
        }
        var testDescription: String { text }
    }

    static let mistakes: [Mistake] = [
        Mistake("sokcet: http:127.0.0.1:0", "1:1", "unknown key 'sokcet'; did you mean socket?"),
        Mistake("# one\n\n  user nobody", "3:3", "the colon is missing; write KEY: VALUE"),
        Mistake("umask: 022\numask: 022", "2:1", "'umask' was given before, and takes one value"),
        Mistake("socket: http:127.0.0.1:99999", "1:24", "'99999' is no port; …"),
        Mistake(
            "socket:  http:127.0.0.1:0,backlgo=5", "1:27",
            "unknown socket option 'backlgo'; did you mean backlog?"),
        Mistake("socket: http 4 127.0.0.1 x", "1:26", "'x' is no port; …"),
        Mistake("socket: http 4 127.0.0 0", "1:16", "'127.0.0' is no IPv4 address…"),
        Mistake("socket: http 4 127.0.0.1 0 many", "1:28", "'many' is no backlog; …"),
        Mistake("file: key /etc/passwd q", "1:23", "unknown flag 'q'; …"),
        Mistake("file: key:/etc/passwd:q", "1:23", "unknown flag 'q'; …"),
        Mistake("no-groups: yes", "1:12", "this key takes no value"),
        Mistake("dry-run:", "1:1", "unknown key 'dry-run'; …"),
        Mistake("config: other", "1:1", "unknown key 'config'; …"),
        Mistake("pass: nginx,systmd", "1:13", "unknown dialect 'systmd'; did you mean systemd?"),
        Mistake("command:", "1:…", "the command is missing"),
        Mistake("command: a\ncommand: b", "2:1", "there is a command already"),
        Mistake("command: echo 'never closed", "1:15", "the quote is not closed"),
        Mistake("user: nobody\nenv: A", "2:6", "this is not NAME=VALUE"),
        Mistake("env: A=\0", "1:8", "there is a zero byte"),
    ]

    @Test(arguments: mistakes) func mistake(_ one: Mistake) throws {
        let outcome = try run(one.text, ["/bin/echo", "reached"])
        expectFailure(outcome, 100, "…\(box["config"]):\(one.place): \(one.reason)")
    }

    @Test func fileProblems() throws {
        let missing = box["missing"]
        expectFailure(
            try box.run(["--config", ByteString(missing), "/bin/true"]), 111, "…\(missing): no such file or directory…")
        expectFailure(try box.run(["--config", ByteString(box.path), "/bin/true"]), 111, "…\(box.path): …")
    }

    /// What decides what root does must not be anybody's to write.
    @Test func foreignFile() throws {
        try Tool.requireRoot()
        let file = box.write("config", "command: /bin/true\n")
        chmod(file, 0o666)
        expectFailure(try box.run(["--config", ByteString(file)]), 111, "trust \(file): …")
        chmod(file, 0o644)
        chown(file, 65534, 65534)
        expectFailure(try box.run(["--config", ByteString(file)]), 111, "trust \(file): …")
    }

    /// In a directory of theirs, others can put another file in the place of root's at any moment.
    @Test func directoryOfAnother() throws {
        try Tool.requireRoot()
        _ = box.makeDirectory("theirs", owner: 65534)
        let file = box.write("theirs/config", "command: /bin/echo done\n")
        expectFailure(
            try box.run(["--config", ByteString(file)]), 111, "trust \(file): uid 65534 may replace 'config' in it; …")
        let deeper = box.makeDirectory("theirs/own")
        expectFailure(
            try box.run(["--config", ByteString(box.write("theirs/own/config", "command: /bin/echo done\n"))]), 111,
            "trust \(deeper)/config: uid 65534 may replace 'own' in it; …")
        let open = box.makeDirectory("open", mode: 0o777)
        let inOpen = box.write("open/config", "command: /bin/echo done\n")
        expectFailure(
            try box.run(["--config", ByteString(inOpen)]), 111, "trust \(inOpen): others may replace 'config' in it; …")
        // As /tmp is: only the owner of a file can replace it.
        chmod(open, 0o1777)
        #expect(try box.run(["--config", ByteString(inOpen)]).output == "done\n")
        // Nobody's own file is nobody's to run as nobody.
        chown(file, 65534, 65534)
        let outcome = try box.run(["--config", ByteString(file)], [.user(65534, 65534)])
        #expect(outcome.output == "done\n", "\(outcome.errors)")
    }

    @Test func linkOfAnother() throws {
        try Tool.requireRoot()
        let file = box.write("config", "command: /bin/echo done\n")
        symlink(file, box["link"])
        #expect(try box.run(["--config", ByteString(box["link"])]).output == "done\n")
        lchown(box["link"], 65534, 65534)
        expectFailure(
            try box.run(["--config", ByteString(box["link"])]), 111,
            "trust \(box["link"]): 'link' in it is a symbolic link of uid 65534; …")
    }

    /// Nobody waits for a writer, and who writes to a pipe with a name is not known.
    @Test func pipeWithAName() throws {
        let pipe = box["pipe"]
        mkfifo(pipe, 0o600)
        expectFailure(try box.run(["--config", ByteString(pipe)]), 111, "read \(pipe): it is no regular file")
        let script = "exec 3<>\(pipe); printf 'command: /bin/echo\\n' >&3; \"$0\" --config /dev/stdin <&3"
        let outcome = try box.start(
            program: "/bin/sh", ["-c", ByteString(script), ByteString(try box.launcher())]
        ).end()
        expectFailure(outcome, 111, "read /dev/stdin: it is no regular file and no anonymous pipe")
    }

    @Test(arguments: ["<(cat \"$1\")", "/dev/stdin <\"$1\"", "/proc/self/fd/9 9<\"$1\""])
    func fromTheShell(words: String) throws {
        let file = box.write("config", "command: /bin/echo done\n")
        let process = try box.start(
            program: try Tool.require("bash"),
            ["-c", ByteString("\"$0\" --config \(words)"), ByteString(try box.launcher()), ByteString(file)])
        let outcome = try process.end()
        #expect(outcome.output == "done\n", "\(outcome.errors)")
    }

    @Test func fromAPipe() throws {
        let script = "printf 'socket: http:127.0.0.1:0\\ncommand: /bin/echo piped\\n' | \"$0\" --config /dev/stdin"
        let process = try box.start(program: "/bin/sh", ["-c", ByteString(script), ByteString(try box.launcher())])
        #expect(try process.end().output == "piped\n")
    }
}
