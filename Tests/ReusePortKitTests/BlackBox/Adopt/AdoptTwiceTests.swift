import Testing

@testable import ReusePortKit

/// What is bound twice is in use, or shared, as the kernel would have it.
@Suite struct AdoptTwiceTests {
    let box = Sandbox()

    /// Until it listens, a program may try as often as it likes; and twice at once if it says that it shares.
    @Test func severalTimes() throws {
        let output = try box.adopting(
            ["web:*:80"],
            """
            for _ in range(3):
                s = tcp4()
                print(bound(s, '0.0.0.0', 80), which(FD))
                s.close()

            a, b, c = tcp4(), tcp4(), tcp6()
            print(bound(sharing(a), '0.0.0.0', 80), bound(sharing(b), '0.0.0.0', 80), bound(tcp4(), '0.0.0.0', 80))
            # Bound for both families already, as the kernel has it.
            print(bound(c, '::', 80))
            print(bound(only6(c), '::', 80))
            for s in a, b, c:
                s.listen()
            # Behind that it can be had from the program's own descriptors only.
            print(which(FD), bound(sharing(tcp4()), '0.0.0.0', 80))
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

    /// A program that listens with a copy of its descriptor has the socket alone as well.
    @Test func copies() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            """
            s = tcp4()
            print(bound(s, '127.0.0.1', 80), which(FD))
            copy = s.dup()
            s.close()
            copy.listen()
            print(which(copy), which(FD))
            """)
        #expect(output == "0 0\n0 None\n")
    }

    /// Both must have said that they share, and all who still have it count.
    @Test func whoShares() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            """
            here = '127.0.0.1', 80
            s = tcp4()
            print(bound(s, *here), bound(sharing(tcp4()), *here))
            s.close()
            a, b, c = (sharing(tcp4()) for _ in range(3))
            print([bound(s, *here) for s in (a, b, c)])
            c.close()
            print(bound(tcp4(), *here))
            b.close()
            print(bound(tcp4(), *here), bound(sharing(tcp4()), *here))
            a.close()
            print(bound(tcp4(), *here))
            """)
        #expect(output == "0 EADDRINUSE\n[0, 0, 0]\nEADDRINUSE\nEADDRINUSE 0\n0\n")
    }

    /// Two that share are one socket. One that is connected becomes a socket of its own: the other hears everybody.
    @Test func datagrams() throws {
        let output = try box.adopting(
            ["dns:udp:127.0.0.1:53"],
            """
            here = '127.0.0.1', 53
            a, b, client, other = sharing(udp4()), sharing(udp4()), udp4(), udp4()
            print(bound(a, *here), bound(b, *here), bound(udp4(), *here))
            client.connect(here)
            number, inheritable = b.fileno(), os.get_inheritable(b.fileno())
            b.connect(client.getsockname())
            other.sendto(b'question', here)
            client.send(b'mine')
            print(a.recv(100), b.recv(100), which(b), b.getsockname() == here)
            print(b.fileno() == number, os.get_inheritable(number) == inheritable)
            # The last one is connected as it is.
            a.connect(other.getsockname())
            print(which(a))
            """)
        #expect(output == "0 0 EADDRINUSE\nb'question' b'mine' None True\nTrue True\n0\n")
    }

    /// An ordinary user could not bind the second one, as unbound, knot and nsd do for each thread.
    @Test(arguments: [53, 5353]) func datagramsOfAnotherUser(port: Int) throws {
        try Tool.requireRoot()
        let output = try box.adopting(
            ["dns:udp:127.0.0.1:\(port)", "web:127.0.0.1:\(port)"],
            """
            os.setgid(65534), os.setuid(65534)
            print([bound(sharing(s), '127.0.0.1', \(port)) for s in (udp4(), udp4(), tcp4(), tcp4())])
            """)
        #expect(output == "[0, 0, 1, 1]\n")
    }

    /// Of many who come at once, all get it if they share, otherwise one.
    @Test(arguments: [false, true]) func threads(share: Bool) throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            """
            start, seen, address = threading.Barrier(8), set(), address4('127.0.0.1', 80)

            def one(results, sockets):
                s = sharing(tcp4()) if \(share ? 1 : 0) else tcp4()
                sockets.append(s)
                start.wait()
                results.append(raw_bind(s.fileno(), address))
            for _ in range(100):
                results, sockets = [], []
                threads = [threading.Thread(target=one, args=(results, sockets)) for _ in range(8)]
                for thread in threads: thread.start()
                for thread in threads: thread.join()
                for s in sockets: s.close()
                seen.add((results.count(0), results.count('EADDRINUSE')))
            print(seen)
            """)
        #expect(output == (share ? "{(8, 0)}\n" : "{(1, 7)}\n"))
    }

    /// A child that is forked while another thread adopts has no descriptor of which nobody knows.
    @Test func descriptorsOfChildren() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            """
            done, address = threading.Event(), address4('127.0.0.1', 80)

            def once(number):
                with sharing(tcp4()) as s:
                    os.dup2(s.fileno(), number)
                answer = raw_bind(number, address)
                os.close(number)
                return answer

            def again(number):
                while not done.is_set():
                    once(number)

            def look():
                answer, numbers = once(210), [fd for fd in range(200) if fd != FD]
                return answer, [fd for fd in numbers if which(fd) == 0]
            threads = [threading.Thread(target=again, args=(200 + number,)) for number in range(3)]
            for thread in threads: thread.start()
            results = {apart(look) for _ in range(100)}
            done.set()
            for thread in threads: thread.join()
            print(results)
            """)
        #expect(output == "{'(0, [])'}\n")
    }

    /// A child that is forked while another thread adopts can adopt as well, and signals do no harm.
    @Test func forks() throws {
        let output = try box.adopting(
            ["web:127.0.0.1:80"],
            """
            done, address = threading.Event(), address4('127.0.0.1', 80)

            def once():
                with sharing(tcp4()) as s:
                    return raw_bind(s.fileno(), address)

            def again():
                while not done.is_set():
                    once()
            threads = [threading.Thread(target=again) for _ in range(3)]
            for thread in threads: thread.start()
            signal.signal(signal.SIGALRM, lambda *_: once())
            signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
            results = [apart(once) for _ in range(200)]
            signal.setitimer(signal.ITIMER_REAL, 0)
            done.set()
            for thread in threads: thread.join()
            print(set(results))
            """)
        #expect(output == "{'0'}\n")
    }
}
