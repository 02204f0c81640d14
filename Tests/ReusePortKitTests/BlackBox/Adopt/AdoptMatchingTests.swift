import Foundation
import Testing

@testable import ReusePortKit

/// Which binds become an inherited socket, and how they then look to the program.
@Suite struct AdoptMatchingTests {
    let box = Sandbox()

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
            is: [
                Case("udp4(), '0.0.0.0', 80", 0), Case("tcp4(), '0.0.0.0', 80", 1),
                // Its answers would go to addresses of the wrong family.
                Case("only6(udp6()), '::', 80", nil), Case("udp6(), '::ffff:0.0.0.0', 80", fails: "EADDRINUSE"),
            ]),
        Table(
            "udp:*:80", is: [Case("udp6(), '::', 80", 0), Case("udp4(), '0.0.0.0', 80", fails: "EADDRINUSE")]),
    ]

    @Test(arguments: tables) func matches(_ table: Table) throws {
        let code = table.cases.map { "print(apart(lambda: bound(\($0.bind))))" }.joined(separator: "\n")
        let lines = try box.adopting(table.sockets.enumerated().map { "s\($0):\($1)" }, code).split(separator: "\n")
        #expect(zip(table.cases, lines).map { "\($0.bind): \($1)" } == table.cases.map { "\($0.bind): \($0.place)" })
    }

    /// What the kernel says, for what is not ours as well as for what is.
    @Test func errors() throws {
        let output = try box.adopting(
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
        let output = try box.adopting(
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
                0

                """)
        let other = try box.adopting(
            ["web:127.0.0.1:80,nodelay"],
            """
            t = tcp4()
            t.set_inheritable(True)
            print(bound(t, '127.0.0.1', 80), os.get_inheritable(t.fileno()), t.getsockopt(6, socket.TCP_NODELAY))
            print(bool(fcntl.fcntl(t, fcntl.F_GETFL) & os.O_NONBLOCK))
            """)
        #expect(other == "0 True 1\nFalse\n")
    }

    /// What a program has set and can read from its socket afterwards.
    @Test func moreOptions() throws {
        let output = try box.adopting(
            ["a:127.0.0.1:80", "b:[::1]:80", "c:udp:127.0.0.1:80", "d:udp:[::1]:80"],
            """
            def keeps(s, address, *options):
                # Not in Python: those of UDP, and what it has no name for.
                for level, name, value in options:
                    s.setsockopt(level, name, value)
                place = bound(s, address, 80)
                kept = [s.getsockopt(level, name) for level, name, _ in options]
                lost = [option for option, value in zip(options, kept) if value != option[2]]
                print(place, lost)
            IP, IP6, SOL, TCP, UDP = 0, 41, 1, 6, 17
            keeps(tcp4(), '127.0.0.1', (IP, 2, 17), (IP, 1, 16), (IP, 21, 3), (SOL, 18, 2), (TCP, 2, 1000), (TCP, 7, 3),
                  (TCP, 25, 16384), (TCP, 27, 1), (SOL, 29, 1))
            keeps(tcp6(), '::1', (IP6, 16, 17), (IP6, 67, 16))
            keeps(udp4(), '127.0.0.1', (IP, 8, 1), (IP, 20, 1), (SOL, 35, 1), (SOL, 40, 1), (UDP, 104, 1))
            keeps(udp6(), '::1', (IP6, 49, 1), (IP6, 74, 1), (SOL, 29, 1))
            """)
        #expect(output == "0 []\n1 []\n2 []\n3 []\n")
    }

    /// What has not been set is left as somebody else has set it, whatever it is without that.
    @Test func optionsOfOthers() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            """
            names = (6, socket.TCP_KEEPIDLE), (1, socket.SO_RCVBUF), (0, socket.IP_TTL), (0, socket.IP_TOS), (0, 10)
            def show(s):
                print(bound(sharing(s), '127.0.0.1', 80), *(s.getsockopt(*name) for name in names))
            a, b, c = tcp4(), tcp4(), tcp4()
            for name, value in zip(names, (123, 30000, 17, 16, 3)):
                a.setsockopt(*name, value)
            # IP_MTU_DISCOVER is not off by itself.
            c.setsockopt(0, 10, 0)
            c.setsockopt(0, socket.IP_TTL, 18)
            for s in a, b, c:
                show(s)
            """)
        #expect(output == "0 123 60000 17 16 3\n0 123 60000 17 16 3\n0 123 60000 18 16 0\n")
    }

    /// What is for one interface is not widened to all.
    @Test func device() throws {
        let output = try box.adopting(
            ["web:0.0.0.0:80"],
            """
            s = tcp4()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'lo')
            print(bound(s, '0.0.0.0', 80))
            socket.socket(fileno=os.dup(FD)).setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'lo')
            print(apart(lambda: bound(tcp4(), '0.0.0.0', 80)), bound(s, '0.0.0.0', 80))
            """)
        #expect(output == "EADDRINUSE\n0 0\n")
    }

    /// Whoever does not want to wait need not, whatever others do with the same socket.
    @Test func neverMadeToWait() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            """
            def is_waiting(s): return not fcntl.fcntl(s, fcntl.F_GETFL) & os.O_NONBLOCK
            s, t = sharing(tcp4()), sharing(tcp4())
            s.setblocking(False)
            print(bound(s, '127.0.0.1', 80), is_waiting(s))
            print(apart(lambda: bound(sharing(tcp4()), '127.0.0.1', 80)), is_waiting(s))
            print(bound(t, '127.0.0.1', 80), is_waiting(s))
            """)
        #expect(output == "0 False\n0 False\n0 False\n")
    }

    /// A number that is something else by now is not taken, even if it is a socket.
    @Test func numberUsedAgain() throws {
        let output = try box.adopting(
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
        let output = try box.adopting(
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

    /// What is closed as a range stays open for those who adopt later, and nothing else does.
    @Test func closingRanges() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80", "more:127.0.0.1:81"],
            """
            if not hasattr(libc, 'close_range'):
                print('0 1 EBADF')
                sys.exit()
            last, more = 2**32 - 1, INHERITED[1][0]
            def opened():
                return os.open('/dev/null', os.O_RDONLY)
            def result(*arguments):
                return 0 if libc.close_range(*arguments) == 0 else errno.errorcode[ctypes.get_errno()]

            for first, end in (3, 1023), (3, last), (FD, FD), (FD, last), (more, last), (3, FD), (FD, more):
                others = opened(), fcntl.fcntl(0, fcntl.F_DUPFD, more + 1)
                assert result(first, end, 0) == 0 and [which(FD), which(more)] == [0, 1]
                for fd in others:
                    assert (attempt(os.fstat, fd) == 'EBADF') == (first <= fd <= end)
                    os.closerange(fd, fd + 1)
            # With its flags: closed on exec, or in this thread only.
            fd = opened()
            for other in fd, FD: os.set_inheritable(other, True)
            assert result(3, last, 4) == 0 and [os.get_inheritable(other) for other in (fd, FD)] == [False, True]
            seen = []
            def alone():
                seen.extend([result(3, last, 2), attempt(os.fstat, fd)])
            thread = threading.Thread(target=alone)
            thread.start()
            thread.join()
            assert seen == [0, 'EBADF'] and os.fstat(fd)
            assert result(FD, 3, 0) == result(3, last, 64) == result(4, 3, 64) == 'EINVAL' and os.fstat(fd)
            os.closerange(3, 1024)
            print(which(FD), which(more), attempt(os.fstat, fd))
            """)
        #expect(output == "0 1 EBADF\n")
    }

    /// What is closed one by one stays open as well, and what the program has adopted is its own.
    @Test func closingAll() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80", "dns:udp:127.0.0.1:53"],
            """
            adopted = tcp4()
            print(bound(adopted, '127.0.0.1', 80), end=' ')
            adopted.listen()
            number, close = adopted.detach(), 3 if os.uname().machine == 'x86_64' else 57
            for fd in range(3, 256):
                attempt(os.close, fd)
                libc.syscall(close, fd)
            print(which(number), bound(udp4(), '127.0.0.1', 53))
            """)
        #expect(output == "0 None 1\n")
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
        let output = try box.adopting(["web:unix:\(box["run/a.sock"])"], code)
        #expect(
            output == """
                0 0 0 0 0 0 None None EADDRINUSE
                True 0 ENOENT ['a.sock']
                True 0o640

                """)
    }
}
