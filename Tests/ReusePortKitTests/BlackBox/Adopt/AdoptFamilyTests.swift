import Foundation
import Testing

@testable import ReusePortKit

/// A program that has bound a socket of one family and got one of the other sees addresses of its own.
@Suite struct AdoptFamilyTests {
    let box = Sandbox()

    /// The listener's address, and both of a connection, as the program sees them; and as the client does.
    private static let seen = """
        def serve(s, *address):
            print(bound(s, *address), s.getsockname())
            s.listen()
            return s

        def serve_client(s, client, *address):
            client.connect(address)
            connection, peer = s.accept()
            port = client.getsockname()[1]
            return [str(each).replace(str(port), 'PORT') for each in
                    (peer, connection.getsockname(), connection.getpeername())]

        """

    @Test(arguments: ["0.0.0.0:80", "*:80", "[::]:80", "127.0.0.1:80", "[::1]:80"])
    func listener(inherited: String) throws {
        let output = try box.adopting(
            ["web:\(inherited)"],
            """
            print(apart(lambda: (bound(s := tcp4(), '0.0.0.0', 80), s.getsockname(), s.dup().getsockname())))
            print(apart(lambda: (bound(s := tcp6(), '::', 80), s.getsockname(), s.dup().getsockname())))
            """)
        let (v4, v6) =
            switch inherited {
            case "127.0.0.1:80": ("('127.0.0.1', 80)", "('::ffff:127.0.0.1', 80, 0, 0)")
            case "[::1]:80": ("('0.0.0.0', 80)", "('::1', 80, 0, 0)")
            default: ("('0.0.0.0', 80)", "('::', 80, 0, 0)")
            }
        #expect(output == "(0, \(v4), \(v4))\n(0, \(v6), \(v6))\n")
    }

    @Test func v4OnDualStack() throws {
        let output = try box.adopting(
            ["web:*:80"],
            Self.seen + """
                s = serve(tcp4(), '0.0.0.0', 80)
                print(*serve_client(s, tcp4(), '127.0.0.1', 80))
                # It has no IPv4 address.
                print(*serve_client(s, tcp6(), '::1', 80))
                print(apart(lambda: serve_client(s.dup(), tcp4(), '127.0.0.1', 80)))
                """)
        #expect(
            output == """
                0 ('0.0.0.0', 80)
                ('127.0.0.1', PORT) ('127.0.0.1', 80) ('127.0.0.1', PORT)
                ('0.0.0.0', PORT) ('0.0.0.0', 80) ('0.0.0.0', PORT)
                ["('127.0.0.1', PORT)", "('127.0.0.1', 80)", "('127.0.0.1', PORT)"]

                """)
    }

    @Test func v6OnV4() throws {
        let output = try box.adopting(
            ["web:0.0.0.0:80"],
            Self.seen + """
                s = serve(tcp6(), '::', 80)
                print(*serve_client(s, tcp4(), '127.0.0.1', 80))
                """)
        #expect(
            output == """
                0 ('::', 80, 0, 0)
                ('::ffff:127.0.0.1', PORT, 0, 0) ('::ffff:127.0.0.1', 80, 0, 0) ('::ffff:127.0.0.1', PORT, 0, 0)

                """)
    }

    /// Both sockets of one program can be the same dual-stack one; each connection is of the family of its listener.
    @Test func bothOnOne() throws {
        let output = try box.adopting(
            ["web:*:80"],
            Self.seen + """
                four, six = serve(tcp4(), '0.0.0.0', 80), serve(only6(tcp6()), '::', 80)
                print(*serve_client(four, tcp4(), '127.0.0.1', 80))
                print(*serve_client(six, tcp4(), '127.0.0.1', 80))
                print(*serve_client(six, tcp6(), '::1', 80))
                """)
        #expect(
            output == """
                0 ('0.0.0.0', 80)
                0 ('::', 80, 0, 0)
                ('127.0.0.1', PORT) ('127.0.0.1', 80) ('127.0.0.1', PORT)
                ('::ffff:127.0.0.1', PORT, 0, 0) ('::ffff:127.0.0.1', 80, 0, 0) ('::ffff:127.0.0.1', PORT, 0, 0)
                ('::1', PORT, 0, 0) ('::1', 80, 0, 0) ('::1', PORT, 0, 0)

                """)
    }

    /// Sockets that have nothing to do with it, also where a connection had the same number before.
    @Test func others() throws {
        let output = try box.adopting(
            ["web:*:80", "own:127.0.0.1:81"],
            Self.seen + """
                s = serve(tcp4(), '0.0.0.0', 80)
                own, native = serve(tcp4(), '127.0.0.1', 81), serve(tcp6(), '::', 82)
                print(*serve_client(own, tcp4(), '127.0.0.1', 81))
                print(*serve_client(native, tcp4(), '127.0.0.1', 82))
                client = tcp4()
                client.connect(('127.0.0.1', 80))
                connection, _ = s.accept()
                copy, number = connection.dup(), connection.fileno()
                print(copy.getsockname(), client.getpeername())
                mapped = tcp6()
                mapped.connect(('::ffff:127.0.0.1', 82))
                os.dup2(mapped.fileno(), number)
                print(socket.socket(fileno=os.dup(number)).getpeername(), copy.getpeername()[0])
                os.dup2(native.fileno(), s.fileno())
                print(socket.socket(fileno=os.dup(s.fileno())).getsockname())
                print(socket.socketpair()[0].getsockname())
                """)
        #expect(
            output == """
                0 ('0.0.0.0', 80)
                1 ('127.0.0.1', 81)
                None ('::', 82, 0, 0)
                ('127.0.0.1', PORT) ('127.0.0.1', 81) ('127.0.0.1', PORT)
                ('::ffff:127.0.0.1', PORT, 0, 0) ('::ffff:127.0.0.1', 82, 0, 0) ('::ffff:127.0.0.1', PORT, 0, 0)
                ('127.0.0.1', 80) ('127.0.0.1', 80)
                ('::ffff:127.0.0.1', 82, 0, 0) 127.0.0.1
                ('::', 82, 0, 0)


                """)
    }

    /// Room for the address, its length, and errors, as in accept(2).
    @Test func withoutPython() throws {
        let output = try box.adopting(
            ["web:*:80"],
            """
            def name(call, fd, room, *flags, sentinel=0xEE):
                buffer, size = ctypes.create_string_buffer(bytes([sentinel]) * 64, 64), ctypes.c_int(room)
                ctypes.set_errno(77)
                result = getattr(libc, call)(fd, buffer, ctypes.byref(size), *flags)
                if result == -1:
                    return errno.errorcode[ctypes.get_errno()]
                untouched = all(byte == sentinel for byte in buffer.raw[max(0, min(room, size.value)):])
                return result, buffer.raw[:max(0, min(room, size.value))], size.value, untouched, ctypes.get_errno()

            def queue(*_, **__):
                client.append(tcp4())
                client[-1].connect(('127.0.0.1', 80))
                return client[-1].getsockname()[1]

            client, s = [], tcp4()
            print(bound(s, '0.0.0.0', 80))
            s.listen()
            for room in 64, 28, 16, 15, 2, 0:
                for call, flags in ('accept', ()), ('accept4', (os.O_NONBLOCK,)):
                    port = queue()
                    fd, *rest = name(call, s.fileno(), room, *flags)
                    whole = address4('127.0.0.1', port)
                    assert rest == [whole[:room], 16, True, 77], (room, rest)
                    assert bool(fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_NONBLOCK) == bool(flags)
                    assert name('getpeername', fd, room) == (0, whole[:room], 16, True, 77)
                    assert name('getsockname', fd, room) == (0, address4('127.0.0.1', 80)[:room], 16, True, 77)
                    assert name('getsockname', s.fileno(), room) == (0, address4('0.0.0.0', 80)[:room], 16, True, 77)
                    os.close(fd)
            # An address that is of no interest is of interest later.
            port = queue()
            fd = libc.accept(s.fileno(), None, None)
            assert name('getpeername', fd, 16)[1] == address4('127.0.0.1', port)
            # A client without an IPv4 address is seen as it is by those who have room for it.
            client.append(tcp6())
            client[-1].connect(('::1', 80))
            fd, *rest = name('accept', s.fileno(), 28)
            assert rest[0][:2] == struct.pack('=H', socket.AF_INET6) and rest[1] == 28
            assert name('getpeername', fd, 27)[1][:2] == struct.pack('=H', socket.AF_INET)
            s.setblocking(False)
            closed = os.dup(0)
            os.close(closed)
            for call in 'accept', 'getpeername':
                print(name(call, closed, 16), name(call, 0, 16), name(call, s.fileno(), 16))
            print(name('getsockname', closed, 16), name('getsockname', 0, 16))
            print(name('getsockname', s.fileno(), -1), name('getpeername', fd, -1))
            print(libc.getsockname(s.fileno(), None, None), ctypes.get_errno() == errno.EFAULT)
            print(libc.getsockname(s.fileno(), bytes(16), None), ctypes.get_errno() == errno.EFAULT)
            """)
        #expect(
            output == """
                0
                EBADF ENOTSOCK EAGAIN
                EBADF ENOTSOCK ENOTCONN
                EBADF ENOTSOCK
                EINVAL EINVAL
                -1 True
                -1 True

                """)
    }

    /// A copy is what those are that are open, and not what has been closed.
    @Test func copies() throws {
        let output = try box.adopting(
            ["web:*:80"],
            """
            v4, v6 = tcp4(), only6(tcp6())
            print(bound(v4, '0.0.0.0', 80), bound(v6, '::', 80))
            os.dup2(0, v6.fileno())
            copy = v4.dup()
            print(copy.getsockname())
            os.dup2(0, v4.fileno())
            print(copy.getsockname())
            """)
        #expect(output.hasPrefix("0 0\n('0.0.0.0', 80)\n"))
    }

    /// What it says of itself, and of its clients.
    @Test(arguments: [("*:80", "0.0.0.0", "127.0.0.1"), ("0.0.0.0:80", "::", "::ffff:127.0.0.1")])
    func pythonHTTPServer(inherited: String, address: String, client: String) throws {
        let network = try Network(box)
        let process = try box.start(
            ["--socket", "http:\(inherited)", "--user", "nobody", "--pass", "adopt", "--"] + [
                ByteString(try Tool.require("python3")), "-u", "-m", "http.server", "80", "-b", ByteString(address),
                "-d", ByteString(box.makeDirectory("pages")),
            ], [network.step])
        #expect(try process.line()?.hasPrefix("Serving HTTP on \(address) port 80 ") == true)
        let answer = try box.start(
            program: Tool.require("curl"), ["-s", "--max-time", "30", "http://127.0.0.1/"], [network.step]
        ).end()
        #expect(answer.exit == 0)
        try process.waitFor("\n\(client) - - [")
    }
}
