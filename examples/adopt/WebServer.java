// Java, com.sun.net.httpserver, which binds its port by itself. As root, in this folder; for each new version:
//
//     javac -d classes WebServer.java
//     reuseport-exec deploy web --socket 'http:*:80' --user www-data --pass adopt --ready http:http:/ \
//         -- java -cp classes WebServer
//
// Without a handoff, under a supervisor or by hand:
//
//     reuseport-exec --socket 'http:*:80' --user www-data --pass adopt -- java -cp classes WebServer
//
// With --pass adopt what it binds is the launcher's socket. `*` is IPv4 and IPv6, as Java means it; the quotes keep it
// from the shell.

import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
import java.util.concurrent.Executors;

class WebServer {
    public static void main(String[] arguments) throws Exception {
        HttpServer server = HttpServer.create(new InetSocketAddress(80), 0);
        server.setExecutor(Executors.newCachedThreadPool());
        server.createContext("/", exchange -> {
            try {
                if (exchange.getRequestURI().getPath().equals("/slow")) Thread.sleep(1000);
            } catch (InterruptedException ignored) {
                // Answer at once.
            }
            byte[] body = ("pid: " + ProcessHandle.current().pid() + "\n").getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        // The stop signal: the JVM runs this on TERM. No connection is new by then, but stop() drops those whose
        // request it has not read yet; so it gets a moment for that, and then seconds for what is in flight.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                Thread.sleep(500);
            } catch (InterruptedException ignored) {
                // Then at once.
            }
            server.stop(5);
        }));
        server.start();
    }
}
