// Java, System.inheritedChannel(). As root, in this folder, for each new version:
//
//     javac -d classes InheritedChannel.java
//     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --pass inetd \
//         -- java -cp classes InheritedChannel
//
// Without a handoff, under a supervisor or by hand:
//
//     reuseport-exec --socket http:0.0.0.0:80 --user www-data --pass inetd -- java -cp classes InheritedChannel
//
// --pass inetd puts the socket at descriptor 0, where Java looks for it. Jetty and Tomcat do it for you:
// ServerConnector.setInheritChannel(true), useInheritedChannel="true".

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.channels.ClosedChannelException;
import java.nio.channels.ServerSocketChannel;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;

class InheritedChannel {
    public static void main(String[] arguments) throws Exception {
        ServerSocketChannel listener = (ServerSocketChannel) System.inheritedChannel();
        ExecutorService pool = Executors.newCachedThreadPool();
        // The stop signal: on TERM the JVM runs this hook, and then ends. It closes the listener and finishes requests.
        Runtime.getRuntime().addShutdownHook(new Thread(() -> {
            try {
                listener.close();
                synchronized (pool) {
                    pool.shutdown();
                }
                pool.awaitTermination(1, TimeUnit.HOURS);
            } catch (Exception ignored) {
                // The JVM ends in any case.
            }
        }));
        try {
            while (true) {
                synchronized (pool) {
                    Socket client = listener.accept().socket();
                    pool.submit(() -> answer(client));
                }
            }
        } catch (ClosedChannelException closed) {
            // The hook has closed the listener.
        }
    }

    static Void answer(Socket client) throws Exception {
        try (client) {
            BufferedReader input = new BufferedReader(new InputStreamReader(client.getInputStream()));
            String request = input.readLine();
            for (String line = request; line != null && !line.isEmpty(); line = input.readLine()) {
            }
            if (request != null && request.contains(" /slow ")) Thread.sleep(1000);
            OutputStream output = client.getOutputStream();
            String body = "pid: " + ProcessHandle.current().pid() + "\n";
            String head = "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: " + body.length() + "\r\n\r\n";
            output.write((head + body).getBytes());
        }
        return null;
    }
}
