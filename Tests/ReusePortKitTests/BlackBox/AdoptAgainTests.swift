import Foundation
import Testing

@testable import ReusePortKit

/// Programs that listen, close and listen again, as those do that look for a free port.
@Suite struct AdoptAgainTests {
    let box = Sandbox()

    private static let listening = """
        def listening(*address):
            s = tcp4()
            print(bound(s, *address), end=' ')
            s.listen()
            return s

        here = '127.0.0.1', 80

        """

    /// Closed soon, it is where the launcher has put it, for this program and for those that it starts.
    @Test func soon() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80", "more:127.0.0.1:81"],
            Self.listening + """
                for _ in range(3):
                    s, more = listening(*here), listening('127.0.0.1', 81)
                    print(which(FD), end=' ')
                    more.close()
                    s.close()
                    print([which(fd) for fd, _, _ in INHERITED], os.get_inheritable(FD))
                print(apart(lambda: bound(tcp4(), *here)), attempt(os.close, 9999))
                s = listening(*here)
                client = tcp4()
                client.connect(here)
                print(s.accept()[1] == client.getsockname())
                """)
        #expect(
            output == """
                0 1 None [0, 1] True
                0 1 None [0, 1] True
                0 1 None [0, 1] True
                0 EBADF
                0 True

                """)
    }

    /// Closed later, or by somebody else, or while it serves, it is closed.
    @Test func closedForGood() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            Self.listening + """
                client, s = tcp4(), listening(*here)
                client.connect(here)
                connection, _ = s.accept()
                def goes():
                    s.close()
                    return which(FD), attempt(tcp4().connect, here)
                print(apart(goes), which(FD), goes())
                """)
        #expect(output == "0 (None, None) None (None, 'ECONNREFUSED')\n")
        let late = try box.adopting(
            ["web:127.0.0.1:80"],
            Self.listening + """
                import time
                s = listening(*here)
                time.sleep(5.1)
                s.close()
                print(which(FD), attempt(tcp4().connect, here))
                """)
        #expect(late == "0 None ECONNREFUSED\n")
    }

    /// The last descriptor counts, and an epoll instance hears nothing of what is closed.
    @Test func copiesAndEpoll() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            Self.listening + """
                import select
                epoll, s = select.epoll(), listening(*here)
                copy = s.dup()
                epoll.register(s, select.EPOLLIN)
                copy.close()
                print(which(FD), end=' ')
                s.close()
                client = tcp4()
                client.connect(here)
                print(which(FD), epoll.poll(0))
                s = listening(*here)
                epoll.register(s, select.EPOLLIN)
                print([fd == s.fileno() for fd, _ in epoll.poll(0)])
                """)
        #expect(output == "0 None 0 []\n0 [True]\n")
    }

    /// A vforked child, as of posix_spawn(3) and of Python, shares the memory of its parent, which still listens.
    @Test func children() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            Self.listening + """
                s = listening(*here)
                subprocess.run(['/bin/true'], close_fds=True)
                actions = [(os.POSIX_SPAWN_CLOSE, s.fileno())]
                os.waitpid(os.posix_spawn('/bin/true', ['true'], {}, file_actions=actions), 0)
                print(which(s), which(FD), end=' ')
                s.close()
                print(which(FD))
                # Whoever forks has its children serve.
                s = listening(*here)
                print(apart(lambda: s.close() or which(FD)), end=' ')
                s.close()
                print(which(FD))
                """)
        #expect(output == "0 0 None 0\n0 None None\n")
    }

    /// Node closes by syscall(2), of which all arguments arrive, also the last.
    @Test func systemCalls() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            Self.listening + """
                mmap, close = (9, 3) if os.uname().machine == 'x86_64' else (222, 57)
                def call(*arguments):
                    return libc.syscall(*map(ctypes.c_long, arguments))
                libc.syscall.restype = ctypes.c_long
                file = os.memfd_create('pages')
                os.pwrite(file, b'second', 65536)
                print(ctypes.string_at(call(mmap, 0, 65536, 1, 2, file, 65536), 6))
                print(call(close, 9999), errno.errorcode[ctypes.get_errno()])
                s = listening(*here)
                print(call(close, s.detach()), which(FD))
                """)
        #expect(output == "b'second'\n-1 EBADF\n0 0 0\n")
    }

    /// As an ordinary user, who could not bind to port 80.
    @Test func node() throws {
        let network = try Network(box)
        let process = try box.start(
            ["--socket", "http:0.0.0.0:80", "--user", "nobody", "--pass", "adopt", "--"] + [
                ByteString(try Tool.require("node")), ByteString(try box.target("probing.js")), "80",
            ], [network.step])
        #expect(try process.line() == "ready node \(process.pid)")
        process.signal(SIGTERM)
        #expect(try process.end().exit == 0)
    }
}
