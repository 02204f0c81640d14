import Foundation
import Testing

@testable import ReusePortKit

/// Programs that listen, close and listen again, as those do that look for a free port, or that read their configuration
/// again.
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

    /// It may have served for a long time, and have clients and children: its queue waits meanwhile.
    @Test func late() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80", "dns:udp:127.0.0.1:53"],
            Self.listening + """
                import time
                clients, s, d = [tcp4(), tcp4()], listening(*here), udp4()
                print(bound(d, '127.0.0.1', 53))
                clients[0].connect(here)
                connection, _ = s.accept()
                # Closed by somebody else, it is none of their business.
                print(apart(lambda: s.close() or which(FD)))
                time.sleep(5.2)
                s.close(), d.close()
                clients[1].connect(here)
                udp4().sendto(b'question', ('127.0.0.1', 53))
                s, d = listening(*here), udp4()
                print(bound(d, '127.0.0.1', 53), d.recv(100), s.accept()[1] == clients[1].getsockname())
                """)
        #expect(output == "0 1\nNone\n0 1 b'question' True\n")
    }

    /// If it is not bound again it is closed soon, whatever the program does, and nothing remains of the wait.
    @Test func closedForGood() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80", "dns:udp:127.0.0.1:53"],
            Self.listening + """
                import time
                def threads(): return len(os.listdir('/proc/self/task'))
                client, s, d = tcp4(), listening(*here), udp4()
                print(bound(d, '127.0.0.1', 53))
                client.connect(here)
                s.close(), d.close()
                print(which(FD), which(FD + 1), threads())
                # The client hears of it while this process is in one system call.
                print(attempt(client.recv, 1), which(FD), attempt(tcp4().connect, here))
                while threads() > 1 or which(FD + 1): time.sleep(0.01)
                # Later it gets a socket of its own, which keeps no other from the address.
                s = listening(*here)
                print(s.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT), bound(sharing(tcp4()), *here))
                if os.getuid() == 0:
                    # That of another user would.
                    s.close()
                    os.seteuid(65534)
                    print(attempt(socket.create_server, ('127.0.0.1', 80)))
                """)
        #expect(
            output == """
                0 1
                0 1 2
                ECONNRESET None ECONNREFUSED
                None 1 None
                \(Tool.isRoot ? "EADDRINUSE\n" : "")
                """)
    }

    /// As sshd does: it has children, closes its listener, and executes itself.
    @Test func executesItself() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            Self.listening + """
                s = listening(*here)
                print(apart(lambda: 'child'))
                if 'AGAIN' not in os.environ:
                    s.close()
                    os.environ['AGAIN'] = '1'
                    os.execv(sys.executable, [sys.executable, '-S', '-E', HERE, sys.argv[1]])
                """)
        #expect(output == "0 child\n0 child\n")
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

    /// Java, up to 12, has another descriptor take its place before it closes it.
    @Test func replaced() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            Self.listening + """
                dup2, dup3 = (33, 292) if os.uname().machine == 'x86_64' else (None, 24)
                marker = os.open('/dev/null', os.O_RDONLY)
                def replace(*call):
                    s = listening(*here)
                    print(libc.syscall(*call, s.fileno(), 0) == s.fileno(), which(s), which(FD))
                    s.close()
                for inheritable in False, True:
                    s = listening(*here)
                    os.dup2(marker, s.fileno(), inheritable)
                    print(which(s), os.get_inheritable(s.fileno()), which(FD), os.get_inheritable(FD))
                    s.close()
                replace(dup3, marker)
                replace(*((dup2, marker) if dup2 else (dup3, marker)))
                # What fails, or is the same, closes nothing; nor is it closed while there is a copy.
                s = listening(*here)
                copy, n = os.dup(s.fileno()), s.fileno()
                print(attempt(os.dup2, 9999, n), os.dup2(n, n) == n, libc.dup3(n, n, 0), libc.dup3(marker, n, 1))
                print(os.dup2(copy, n) == n, os.dup2(marker, copy) == copy, which(s), which(FD))
                """)
        #expect(
            output == """
                0 None False 0 True
                0 None True 0 True
                0 True None 0
                0 True None 0
                0 EBADF True -1 -1
                True True 0 None

                """)
    }

    /// Nobody would find it elsewhere than where the launcher has put it.
    @Test func numberInUse() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            Self.listening + """
                s = listening(*here)
                os.dup2(0, FD)
                s.close()
                print([fd for fd in range(200) if which(fd) == 0], attempt(tcp4().connect, here))
                """)
        #expect(output == "0 [] ECONNREFUSED\n")
    }

    /// Of two threads that close the last two descriptors, also where that takes time, one keeps it.
    @Test func closedTwice() throws {
        let slow = try box.library(
            "slow",
            """
            #define _GNU_SOURCE
            #include <dlfcn.h>
            #include <unistd.h>
            int close(int fd) {
                int (*next)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");
                usleep(20000);
                return next(fd);
            }
            """)
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            Self.listening + """
                for _ in range(5):
                    s = listening(*here)
                    numbers = s.fileno(), os.dup(s.detach())
                    threads = [threading.Thread(target=libc.close, args=(number,)) for number in numbers]
                    for thread in threads: thread.start()
                    for thread in threads: thread.join()
                    print(which(FD))
                """, preload: slow)
        #expect(output == String(repeating: "0 0\n", count: 5))
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
                # What a forked child closes is still its parent's.
                s = listening(*here)
                print(apart(lambda: s.close() or (which(FD), bound(tcp4(), *here))), which(s))
                """)
        #expect(output == "0 0 None 0\n0 (None, 'EADDRINUSE') 0\n")
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
