import Foundation
import Testing

@testable import ReusePortKit

/// What a program has done with its socket before it binds holds for the one that it gets.
@Suite struct AdoptFollowTests {
    let box = Sandbox()

    /// Asio and Netty register their listeners first. There are more registrations than are read at once.
    @Test func epoll() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            """
            IN, EDGE, ONCE, ALONE, ADD, MODIFY = 1, 1 << 31, 1 << 30, 1 << 28, 1, 3
            # Packed on this machine only.
            layout = '=IQ' if os.uname().machine == 'x86_64' else '@IQ'
            def register(epoll, s, events, data, how=ADD):
                assert libc.epoll_ctl(epoll, how, s.fileno(), struct.pack(layout, events, data)) == 0
            def wait(epoll):
                buffer = ctypes.create_string_buffer(10 * struct.calcsize(layout))
                size = libc.epoll_wait(epoll, buffer, 10, 0) * struct.calcsize(layout)
                return sorted(data for _, data in struct.iter_unpack(layout, buffer.raw[:size]))
            def show():
                print(*(wait(epoll) for epoll in epolls))

            s, others, clients = tcp4(), [os.pipe()[0] for _ in range(100)], []
            copy = s.dup()
            epolls = level, edge, once, alone, crowd = [libc.epoll_create1(0) for _ in range(5)]
            register(level, s, IN, 2**64 - 1)
            register(level, copy, IN, 7)
            register(edge, s, IN | EDGE, 2**63)
            register(once, s, IN | ONCE, 3)
            register(alone, s, IN | ALONE, 4)
            for number in others:
                assert libc.epoll_ctl(crowd, ADD, number, struct.pack(layout, IN, number)) == 0
            register(crowd, s, IN, 5)
            print(bound(s, '127.0.0.1', 80))
            s.listen()
            show()
            for _ in range(2):
                clients.append(tcp4())
                clients[-1].connect(('127.0.0.1', 80))
                show()
                show()
            register(once, s, IN | ONCE, 6, MODIFY)
            print(wait(once), wait(once))
            for _ in range(2):
                s.accept()
            show()
            """)
        #expect(
            output == """
                0
                [] [] [] [] []
                [7, 18446744073709551615] [9223372036854775808] [3] [4] [5]
                [7, 18446744073709551615] [] [] [4] [5]
                [7, 18446744073709551615] [9223372036854775808] [] [4] [5]
                [7, 18446744073709551615] [] [] [4] [5]
                [6] []
                [] [] [] [] []

                """)
    }

    /// A copy is the same socket as its original, and keeps the port in use as that does.
    @Test func copies() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            """
            here = '127.0.0.1', 80
            s, stranger = tcp4(), tcp4()
            copy = s.dup()
            passed = os.dup(s.fileno())
            os.set_inheritable(passed, True)
            print(bound(s, *here), which(copy), which(passed), which(stranger))
            print(os.get_inheritable(copy.fileno()), os.get_inheritable(passed), copy.getsockname())
            s.close()
            os.close(passed)
            print(bound(tcp4(), *here), attempt(copy.bind, here))
            copy.listen()
            client = tcp4()
            client.connect(here)
            print(copy.accept()[1] == client.getsockname())
            """)
        #expect(
            output == """
                0 0 0 None
                False True ('127.0.0.1', 80)
                EADDRINUSE EINVAL
                True

                """)
    }

    /// A file system that does not answer, here one of FUSE, holds nobody up.
    @Test(.enabled(if: access("/dev/fuse", F_OK) == 0, "there is no /dev/fuse"))
    func silentFileSystem() throws {
        try Tool.requireRoot()
        _ = try box.target("fuse.py")
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            """
            import time, fuse
            child = fuse.serve(lambda operation, node, pid: operation == fuse.GETATTR and node != 1, seconds_valid=0)
            # Python's own open() asks for its attributes.
            file = libc.open(b'/mnt/file', os.O_RDONLY)
            s, start = tcp4(), time.monotonic()
            print(file > 2, bound(s, '127.0.0.1', 80))
            s.listen()
            s.close()
            print(which(FD), time.monotonic() - start < 15)
            os.kill(child, signal.SIGKILL)
            """)
        #expect(output == "True 0\n0 True\n")
    }

    /// Without a descriptor to spare, what is bound is bound.
    @Test func withoutDescriptors() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            """
            import resource
            resource.setrlimit(resource.RLIMIT_NOFILE, (110, 110))
            s = tcp4()
            copy, held = s.dup(), []
            while not isinstance(fd := attempt(os.dup, 0), str):
                held.append(fd)
            os.close(held.pop())
            result = raw_bind(s.fileno(), address4('127.0.0.1', 80))
            os.close(held.pop())
            print(result, which(s))
            """)
        #expect(output == "0 0\n")
    }
}
