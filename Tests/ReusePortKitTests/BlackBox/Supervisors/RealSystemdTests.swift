import Foundation
import Testing

@testable import ReusePortKit

/// What only a real systemd shows, as process 1 of namespaces.
@Suite struct RealSystemdTests {
    /// Writes down each stop signal that it gets, and ends when there is no file `linger`.
    private let server = """
        cat >server.py <<'END'
        import os, signal, socket, sys, time
        def stop(number, frame):
            print(sys.argv[1], signal.Signals(number).name, file=open('signals', 'a'), flush=True)
            server.close()
            while os.path.exists('linger'):
                time.sleep(0.02)
            os._exit(0)
        for number in signal.SIGTERM, signal.SIGQUIT:
            signal.signal(number, stop)
        server = socket.socket(fileno=3)
        while True:
            server.accept()[0].close()
        END
        serve="-- $(command -v python3) -S -E $PWD/server.py"

        """

    /// The template and the server of examples/, as they are. The server handles the first stop signal, and a second
    /// one would end it with all that it is at. Only the main process may speak to systemd.
    @Test func example() throws {
        let lines = try underSystemd(
            """
            mkdir -p /usr/local/bin /srv/web-blue /srv/web-green
            cp "$launcher" /usr/local/bin/
            cp node-http.js /srv/
            printf '#!/bin/sh\\nexec node /srv/node-http.js\\n' >/srv/web-blue/server
            chmod 755 /srv/web-blue/server
            cp /srv/web-blue/server /srv/web-green/
            cp web@.service /etc/systemd/system/
            systemctl daemon-reload
            systemctl start web@blue && echo 'blue serves'
            clients=
            for _ in 1 2 3 4 5; do
                curl -sf 127.0.0.1/slow >/dev/null &
                clients="$clients $!"
            done
            until_ok sh -c '[ $(ss -Htn state established "( sport = :80 )" | wc -l) -ge 5 ]'
            systemctl start web@green && "$launcher" check web --generation green && echo 'green serves'
            for client in $clients; do wait $client || echo lost; done
            until_ok sh -c 'systemctl is-active web@blue | grep -qx inactive'
            systemctl show --property NotifyAccess,NRestarts,Result web@blue web@green
            ps -o comm= -p "$(systemctl show --value --property MainPID web@green)"
            """, files: ["examples/systemd/web@.service", "examples/node-http.js"])
        let known = ["NotifyAccess=main", "Result=success", "NRestarts=0"]
        #expect(Set(lines) == Set(["blue serves", "green serves", "node"] + known), "\(lines)")
    }

    /// A unit's own stop signal is the only one; a unit without one gets ours.
    @Test func stopSignals() throws {
        let lines = try underSystemd(
            server + """
                socket='--socket http:127.0.0.1:80'
                unit same "$socket $serve %i"
                unit none "$socket $serve %i" KillMode=none
                unit other "--stop-signal QUIT $socket $serve %i"
                for app in same none other; do
                    : >signals
                    : >linger
                    systemctl start $app@blue
                    # It returns when blue has closed its listener, or soon before.
                    systemctl start $app@green
                    until_ok sh -c "'$launcher' state $app | grep -q 'generation blue *retired'"
                    echo $app $(cat signals)
                    rm linger
                    until_ok sh -c "systemctl is-active $app@blue | grep -qx inactive"
                    "$launcher" terminate $app --quiet
                done
                """)
        #expect(lines == ["same blue SIGTERM", "none blue SIGTERM", "other blue SIGTERM"])
    }

    /// A generation may be started again while its last copy still finishes.
    @Test func startedWhileFinishing() throws {
        let lines = try underSystemd(
            server + """
                unit web "--socket http:127.0.0.1:80 $serve %i" Environment=PYTHONUNBUFFERED=1
                : >linger
                systemctl start web@green
                systemctl start web@blue
                until_ok grep -q green signals
                systemctl start web@green &
                until_ok sh -c 'systemctl list-jobs --no-legend | grep -q "web@green.service *start"'
                rm linger
                wait $! && "$launcher" check web --generation green && echo 'green serves again'
                """)
        #expect(lines == ["green serves again"])
    }

    /// Without CAP_SYS_ADMIN, systemd hears only the main process, unless the unit says otherwise: said before the
    /// cutover.
    @Test func notifyAccess() throws {
        let lines = try underSystemd(
            server + """
                serve="--socket http:127.0.0.1:8080 --steering cbpf $serve %i"
                unit web "$serve" CapabilityBoundingSet=~CAP_SYS_ADMIN NotifyAccess=all "StandardError=append:$PWD/log"
                systemctl start web@blue && echo 'blue serves'
                sed -i /NotifyAccess/d /etc/systemd/system/web@.service
                systemctl daemon-reload
                systemctl start --no-block web@green
                until_ok grep -q fatal log
                sed -n 's/.*fatal: //p' log
                "$launcher" check web --generation blue && test ! -e signals && echo 'blue serves on'
                """)
        let why =
            "unable to hand over systemd:web@green.service: with NotifyAccess=main, and without root, systemd would "
            + "not hear of it; write NotifyAccess=all into the unit, or start it as root, with --user"
        #expect(lines == ["blue serves", why, "blue serves on"])
    }

    /// Everybody can read a unit, in the file and from systemd; values of `--env` are not in it. A copy has them
    /// whenever it is started, and does not start without them.
    @Test func secretsOfUnits() throws {
        let lines = try underSystemd(
            server + """
                printf 'app: web\nsocket: http:127.0.0.1:80\nenvironment: TOKEN=file\n' >web.conf
                expect() {
                    main=$(systemctl show --value --property MainPID "reuseport-exec-web-$1-0")
                    tr '\\0' '\\n' <"/proc/$main/environ" | grep -E '^(TOKEN|NUMBER)=' | sort | tr '\n' ' '
                    stat --format %a "/run/systemd/system/reuseport-exec-web-$1-0.service"
                    stat --format %a "/run/reuseport-exec/web/environment.$1"
                    grep -l hunter2 /run/systemd/system/*
                    systemctl show 'reuseport-exec-web-*' | grep hunter2
                    systemctl cat 'reuseport-exec-web-*' | grep hunter2
                }
                export CALLER=caller
                "$launcher" deploy --config web.conf --on systemd --generation blue --env 'TOKEN=hunter2 % $x' \
                    --env 'NUMBER={fd:http}' $serve x 2>/dev/null
                expect blue
                "$launcher" scale web 2 2>/dev/null && echo scaled
                expect blue
                systemctl kill --signal KILL reuseport-exec-web-blue-0
                restarts='systemctl show --value --property NRestarts reuseport-exec-web'
                until_ok sh -c "[ \\$($restarts-blue-0) -ge 1 ]"
                until_ok sh -c '[ "$("$1" count web)" = 2 ]' count "$launcher"
                expect blue
                "$launcher" restart web 2>/dev/null && echo restarted
                expect blue
                "$launcher" migrate web --generation green 2>/dev/null && echo migrated
                expect green
                mv /run/reuseport-exec/web/environment.green kept
                systemctl kill --signal KILL reuseport-exec-web-green-0
                until_ok sh -c "[ \\$($restarts-green-0) -ge 3 ]"
                mv kept /run/reuseport-exec/web/environment.green
                until_ok sh -c '[ "$("$1" count web)" = 2 ]' count "$launcher"
                expect green
                "$launcher" terminate web 2>/dev/null
                """)
        let known = ["NUMBER=3 TOKEN=hunter2 % $x 644", "600"]
        #expect(lines == known + ["scaled"] + known + known + ["restarted"] + known + ["migrated"] + known + known)
    }

    /// Whatever goes wrong, and wherever, it is said at once, and makes one generation.
    @Test func failedDeploys() throws {
        let lines = try underSystemd(
            server + """
                deploy() { "$launcher" deploy web --quiet --on systemd --socket http:127.0.0.1:80 --copies 3 "$@"; }
                deploy $serve x
                for _ in 1 2; do deploy -- /bin/false 2>/dev/null; done
                "$launcher" state web | awk '/generation.*failed/ { print $2 }' | sort | uniq -d
                ls /run/systemd/system | grep -c '^reuseport-exec-web'
                python3 -c '
                import socket, time
                server = socket.create_server(("127.0.0.1", 81))
                open("bound", "w")
                time.sleep(1000)' &
                until_ok test -e bound
                start=$(date +%s)
                "$launcher" deploy other --on systemd --socket http:127.0.0.1:81 $serve x 2>&1 |
                    sed -n 's/.*fatal: .*copy 0: \\(.*\\): port.*/\\1/p'
                [ $(($(date +%s) - start)) -lt 10 ] && echo soon
                kill $!
                """)
        #expect(lines == ["3", "unable to bind socket http to 127.0.0.1:81", "soon"])
    }
}
