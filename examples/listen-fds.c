/* C, with LISTEN_FDS. As root, in this folder, for each new version:
 *
 *     cc -O2 -o web listen-fds.c
 *     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data -- ./web
 *
 * Without a handoff, under a supervisor or by hand:
 *
 *     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- ./web
 *
 * --pass systemd is the default: LISTEN_FDS=1, and descriptors start at 3.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { listener = 3 };

/* The stop signal: closing the listener makes accept(2) fail with EBADF, now or at the next call. */
static void stop(int signal) {
    (void)signal;
    close(listener);
}

static void answer(int client) {
    char request[8192], body[64];
    size_t length = 0;
    ssize_t count;
    request[0] = 0;
    while (!strstr(request, "\r\n\r\n")
           && (count = read(client, request + length, sizeof request - 1 - length)) > 0) {
        length += (size_t)count;
        request[length] = 0;
    }
    if (strncmp(request, "GET /slow ", 10) == 0) sleep(1);
    int size = snprintf(body, sizeof body, "pid: %d\n", (int)getppid());
    dprintf(client, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", size, body);
}

int main(void) {
    signal(SIGTERM, stop);
    while (1) {
        int client = accept(listener, NULL, NULL);
        if (client < 0) break;
        if (fork() == 0) {
            signal(SIGTERM, SIG_IGN);
            close(listener);
            answer(client);
            _exit(0);
        }
        close(client);
        while (waitpid(-1, NULL, WNOHANG) > 0) continue;
    }
    /* Wait until requests in flight are finished. */
    while (wait(NULL) > 0) continue;
    return 0;
}
