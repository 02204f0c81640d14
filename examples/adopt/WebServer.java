// Java, com.sun.net.httpserver, which binds its port by itself. As root, in this folder, for each new version:
//
//     javac -d classes WebServer.java
//     reuseport-exec deploy web --socket 'http:*:80' --user www-data --pass adopt --ready http:http:/ \
//         -- java -cp classes WebServer
//
// Without a handoff, under a supervisor or by hand:
//
//     reuseport-exec --socket 'http:*:80' --user www-data --pass adopt -- java -cp classes WebServer
//
// With --pass adopt it gets the launcher's socket when it binds. `*` means IPv4 and IPv6, as Java binds by
// default; quote it for the shell.

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
        // The stop signal: on TERM the JVM runs this hook. No new connections come by then, but stop() drops those
        // whose request has not been read yet. Wait half a second for these, then up to 5 s for requests in flight.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                Thread.sleep(500);
            } catch (InterruptedException ignored) {
                // Stop at once.
            }
            server.stop(5);
        }));
        server.start();
    }
}
