import Foundation
import Testing

@testable import ReusePortKit

/// Which binds become an inherited socket, and how they then look to the program.
@Suite struct AdoptMatchingTests {
    let box = Sandbox()

    /// What a program that binds in Python prints, in a network of its own.
    private func adopting(_ sockets: [ByteString], _ code: String) throws -> String {
        let network = try Network(box)
        let outcome = try box.run(
            sockets.flatMap { ["--socket", $0] } + ["--pass", "adopt"] + [
                "--", ByteString(try Tool.require("python3")), "-S", "-E", ByteString(try box.target("adopting.py")),
                ByteString(code),
            ], [network.step])
        #expect(outcome.errors == "")
        return outcome.output.text
    }

    /// A program's socket and the address to which it is bound, and the inherited socket that it is to become.
    struct Case: Sendable {
        let bind: String
        let place: String
        init(_ bind: String, _ place: Int?) { (self.bind, self.place) = (bind, place.map { "\($0)" } ?? "None") }
        init(_ bind: String, fails reason: String) { (self.bind, place) = (bind, reason) }
    }

    struct Table: CustomTestStringConvertible, Sendable {
        let sockets: [String]
        let cases: [Case]
        init(_ sockets: String..., is cases: [Case]) { (self.sockets, self.cases) = (sockets, cases) }
        var testDescription: String { sockets.joined(separator: " ") }
    }

    static let tables: [Table] = [
        Table(
            "0.0.0.0:80", "[::]:80",
            is: [
                Case("tcp4(), '0.0.0.0', 80", 0), Case("tcp6(), '::', 80", 1), Case("mptcp(), '0.0.0.0', 80", 0),
                Case("tcp6(), '::ffff:0.0.0.0', 80", 0),
                // Nothing that is wider than what was asked for.
                Case("tcp4(), '127.0.0.1', 80", fails: "EADDRINUSE"), Case("tcp6(), '::1', 80", fails: "EADDRINUSE"),
                Case("udp4(), '0.0.0.0', 80", nil), Case("tcp4(), '0.0.0.0', 81", nil),
                Case("tcp4(), '0.0.0.0', 0", nil), Case("tcp4(), '192.0.2.1', 80", fails: "EADDRNOTAVAIL"),
            ]),
        Table("*:80", is: [Case("tcp4(), '0.0.0.0', 80", 0), Case("tcp6(), '::', 80", 0)]),
        Table("0.0.0.0:80", is: [Case("tcp6(), '::', 80", 0), Case("tcp4(), '0.0.0.0', 80", 0)]),
        Table("[::]:80", is: [Case("tcp4(), '0.0.0.0', 80", 0), Case("tcp6(), '::', 80", 0)]),
        Table(
            "[::]:80", "*:81", "0.0.0.0:81",
            is: [Case("tcp4(), '0.0.0.0', 81", 2), Case("tcp6(), '::', 81", 1), Case("tcp6(), '::', 80", 0)]),
        Table(
            "127.0.0.1:80", "[::1]:80",
            is: [
                Case("tcp4(), '127.0.0.1', 80", 0), Case("tcp6(), '::1', 80", 1),
                Case("tcp6(), '::ffff:127.0.0.1', 80", 0), Case("tcp4(), '0.0.0.0', 80", 0),
                Case("tcp6(), '::', 80", 1), Case("tcp4(), '127.0.0.2', 80", nil),
            ]),
        Table(
            "127.0.0.1:80", "0.0.0.0:80",
            is: [Case("tcp4(), '127.0.0.1', 80", 0), Case("tcp4(), '0.0.0.0', 80", 1)]),
        Table(
            "udp:0.0.0.0:80", "0.0.0.0:80",
            is: [Case("udp4(), '0.0.0.0', 80", 0), Case("tcp4(), '0.0.0.0', 80", 1)]),
    ]

    @Test(arguments: tables) func matches(_ table: Table) throws {
        let code = table.cases.map { "print(apart(lambda: bound(\($0.bind))))" }.joined(separator: "\n")
        let lines = try adopting(table.sockets.enumerated().map { "s\($0):\($1)" }, code).split(separator: "\n")
        #expect(zip(table.cases, lines).map { "\($0.bind): \($1)" } == table.cases.map { "\($0.bind): \($0.place)" })
    }

    /// What the kernel says, for what is not ours as well as for what is.
    @Test func errors() throws {
        let output = try adopting(
            ["web:127.0.0.1:80"],
            """
            here = address4('127.0.0.1', 80)
            s, t, u, v, closed = tcp4(), tcp4(), tcp6(), udp4(), os.dup(0)
            print(raw_bind(s.fileno(), here), raw_bind(s.fileno(), here), raw_bind(s.fileno(), address4('0.0.0.0', 0)))
            print(raw_bind(t.fileno(), here), raw_bind(u.fileno(), here), raw_bind(v.fileno(), here))
            os.close(closed)
            print(raw_bind(closed, here), raw_bind(0, here), raw_bind(t.fileno(), here[:8]), raw_bind(t.fileno(), b''))
            t.bind(('127.0.0.1', 0))
            print(raw_bind(t.fileno(), here), libc.bind(u.fileno(), None, 16), ctypes.get_errno() == errno.EFAULT)
            """)
        #expect(
            output == """
                0 EINVAL EINVAL
                EADDRINUSE EINVAL 0
                EBADF ENOTSOCK EINVAL EINVAL
                EINVAL -1 True

                """)
    }

    @Test func flagsAndOptions() throws {
        let output = try adopting(
            ["web:127.0.0.1:80,backlog=77"],
            """
            s = tcp4()
            s.setblocking(False)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 123)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 30000)
            before = s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
            number = s.fileno()
            print(bound(s, '127.0.0.1', 80), s.fileno() == number, s.getsockname())
            print(bool(fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK), os.get_inheritable(s.fileno()))
            print(s.getsockopt(6, socket.TCP_NODELAY), s.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE),
                  s.getsockopt(6, socket.TCP_KEEPIDLE), s.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) == before)
            s.listen(5)
            # tcpi_sacked of a listener is its backlog.
            print(struct.unpack_from('I', s.getsockopt(6, socket.TCP_INFO, 104), 28)[0])
            s.listen(99)
            print(struct.unpack_from('I', s.getsockopt(6, socket.TCP_INFO, 104), 28)[0])
            print(which(FD), which(s.dup()), attempt(s.setsockopt, socket.SOL_SOCKET, socket.SO_REUSEPORT, 1))
            s.close()
            print(bound(tcp4(), '127.0.0.1', 80))
            """)
        #expect(
            output == """
                0 True ('127.0.0.1', 80)
                True False
                1 1 123 True
                77
                99
                None 0 None
                None

                """)
        let other = try adopting(
            ["web:127.0.0.1:80,nodelay"],
            """
            t = tcp4()
            t.set_inheritable(True)
            print(bound(t, '127.0.0.1', 80), os.get_inheritable(t.fileno()), t.getsockopt(6, socket.TCP_NODELAY))
            print(bool(fcntl.fcntl(t, fcntl.F_GETFL) & os.O_NONBLOCK))
            """)
        #expect(other == "0 True 1\nFalse\n")
    }

    /// Until it listens, a program may try as often as it likes; and twice at once if it says that it shares.
    @Test func severalTimes() throws {
        let output = try adopting(
            ["web:*:80"],
            """
            for _ in range(3):
                s = tcp4()
                print(bound(s, '0.0.0.0', 80), which(FD))
                s.close()

            def sharing(s, *places):
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
                return bound(s, *places)
            a, b, c = tcp4(), tcp4(), tcp6()
            print(sharing(a, '0.0.0.0', 80), sharing(b, '0.0.0.0', 80), bound(tcp4(), '0.0.0.0', 80))
            # Bound for both families already, as the kernel has it.
            print(bound(c, '::', 80))
            c.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            print(bound(c, '::', 80))
            for s in a, b, c:
                s.listen()
            # Behind that it can be had from the program's own descriptors only.
            print(which(FD), sharing(tcp4(), '0.0.0.0', 80))
            """)
        #expect(
            output == """
                0 0
                0 0
                0 0
                0 0 EADDRINUSE
                EADDRINUSE
                0
                None 0

                """)
    }

    /// A number that is something else by now is not taken, even if it is a socket.
    @Test func numberUsedAgain() throws {
        let output = try adopting(
            ["web:127.0.0.1:80"],
            """
            other = tcp4()
            os.dup2(other.fileno(), FD)
            s = tcp4()
            print(bound(s, '127.0.0.1', 80), s.getsockname(), os.path.sameopenfile(FD, other.fileno()))
            s.listen()
            print(os.path.sameopenfile(FD, other.fileno()))
            """)
        #expect(output == "None ('127.0.0.1', 80) True\nTrue\n")
    }

    /// What programs pass on, and what they close on principle.
    @Test func childrenAndClosing() throws {
        let output = try adopting(
            ["web:127.0.0.1:80", "more:127.0.0.1:81"],
            """
            child = "print(bound(tcp4(), '127.0.0.1', 80), bound(tcp4(), '127.0.0.1', 81))"
            subprocess.run([sys.executable, '-S', '-E', HERE, child], close_fds=False)
            print(apart(lambda: bound(tcp4(), '127.0.0.1', 80)))
            getattr(libc, 'closefrom', lambda _: None)(3)
            s = tcp4()
            print(bound(s, '127.0.0.1', 80))
            s.listen()
            # What it has adopted is its own, and closed on exec as it says: whoever it starts binds for itself.
            subprocess.run([sys.executable, '-S', '-E', HERE, child], close_fds=False)
            """)
        #expect(output == "0 1\n0\n0\nEADDRINUSE 1\n")
    }

    @Test func threads() throws {
        let output = try adopting(
            ["web:127.0.0.1:80"],
            """
            results, sockets, start = [], [], threading.Barrier(32)

            def one(number):
                s = tcp4()
                sockets.append(s)
                start.wait()
                results.append(bound(s, '127.0.0.1', 80 if number % 2 else 0))
                if which(s) is not None:
                    s.listen()
            threads = [threading.Thread(target=one, args=(n,)) for n in range(32)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            print(results.count(0) >= 1, results.count(None), set(results) <= {0, None, 'EADDRINUSE'})
            """)
        #expect(output == "True 16 True\n")
    }

    // MARK: Unix sockets

    @Test func paths() throws {
        _ = box.makeDirectory("run")
        symlink(box["run"], box["link"])
        let code = """
            path = INHERITED[0][2]
            folder, base = os.path.split(path)
            os.chdir(folder)
            for other in path, folder + '//./' + base, '../run/' + base, base, './' + base, folder + '/../link/' + base:
                print(apart(lambda: bound(unix(), other)), end=' ')
            print(apart(lambda: bound(unix(), chr(0) + path[:90])), apart(lambda: bound(unix(), base + '2')),
                  apart(lambda: bound(unix(socket.SOCK_DGRAM), base)))
            fd = os.open(folder, os.O_RDONLY)
            inode = os.stat(path).st_ino
            os.unlink(path), os.remove(base), os.unlink(base, dir_fd=fd), libc.remove(path.encode())
            os.chmod(path, 0o640)
            os.chown(path, os.getuid(), os.getgid())
            open('plain', 'w').close()
            os.chmod('plain', 0o600)
            os.unlink('plain')
            os.unlink(base + '2')
            s = unix()
            print(os.stat(path).st_ino == inode, bound(s, path), attempt(os.unlink, 'plain'), os.listdir())
            s.listen()
            s.close()
            os.unlink(path)
            print(os.path.exists(path), oct(os.stat(path).st_mode & 0o777))
            """
        let output = try adopting(["web:unix:\(box["run/a.sock"])"], code)
        #expect(
            output == """
                0 0 0 0 0 0 None None EADDRINUSE
                True 0 ENOENT ['a.sock']
                True 0o640

                """)
    }
}
