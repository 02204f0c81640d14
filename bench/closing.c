// Shows what happens to connections when a listener of a group closes: closing SECONDS.
//
// A listener replaces another one under load, again and again, steered by classic BPF, and the old one is closed when
// nothing waits at it: for half of the time as it is, for half after it was hidden (Steering/HideListener.swift). With
// IPv6 the kernel meets the oldest listener first, so there a handshake can begin at the one that closes.
//
// Exit code 1: a hidden one lost a connection, or no other one did, so that nothing was shown.
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { clients = 8 };
static struct sockaddr_in6 address = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
static atomic_long connections, lost;
static atomic_int listeners[2] = {-1, -1};

static int fail(const char *step) {
    perror(step);
    exit(2);
}

static int listener(void) {
    int one = 1, socket_ = socket(AF_INET6, SOCK_STREAM | SOCK_NONBLOCK, 0);
    socklen_t size = sizeof address;
    setsockopt(socket_, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one);
    if (bind(socket_, (struct sockaddr *)&address, size)) fail("bind");
    if (listen(socket_, 4096)) fail("listen");
    if (getsockname(socket_, (struct sockaddr *)&address, &size)) fail("getsockname");
    return socket_;
}

// Directs all connections of the group to one place.
static void direct(int member, unsigned place) {
    struct sock_filter code[] = {{BPF_RET | BPF_K, 0, 0, place}};
    struct sock_fprog program = {1, code};
    if (setsockopt(member, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &program, sizeof program)) fail("attach");
}

static void serve(int socket_) {
    int client;
    while ((client = accept(socket_, NULL, NULL)) >= 0) {
        send(client, "x", 1, MSG_NOSIGNAL);
        close(client);
    }
}

static void *server(void *unused) {
    for (;;) {
        struct pollfd entries[2];
        int count = 0;
        for (int each = 0; each < 2; each++)
            if (listeners[each] >= 0) entries[count++] = (struct pollfd){.fd = listeners[each], .events = POLLIN};
        if (poll(entries, count, 1) > 0)
            for (int each = 0; each < count; each++) serve(entries[each].fd);
    }
    return unused;
}

static void *client(void *unused) {
    // Leaves no connection in TIME-WAIT.
    struct linger at_once = {1, 0};
    for (;;) {
        char answer;
        int socket_ = socket(AF_INET6, SOCK_STREAM, 0);
        setsockopt(socket_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        if (connect(socket_, (struct sockaddr *)&address, sizeof address) || recv(socket_, &answer, 1, 0) != 1) lost++;
        connections++;
        close(socket_);
    }
    return unused;
}

static long run(int seconds, int hides) {
    long closed = 0, connections_before = connections, lost_before = lost;
    time_t end = time(NULL) + seconds;
    while (time(NULL) < end) {
        int old = listeners[0], new = listener(), nowhere = 0x7fffffff;
        listeners[1] = new;
        direct(new, 1);
        usleep(1000);
        listeners[0] = new;
        listeners[1] = -1;
        // The server may still be at the old one.
        usleep(3000);
        if (hides && setsockopt(old, SOL_SOCKET, SO_BINDTOIFINDEX, &nowhere, sizeof nowhere)) fail("hide");
        serve(old);
        close(old);
        closed++;
    }
    long gone = lost - lost_before;
    printf("%-18s %6ld listeners closed, %9ld connections, %3ld lost\n", hides ? "hidden first" : "as they were",
           closed, connections - connections_before, gone);
    return gone;
}

int main(int count, char **arguments) {
    int seconds = count > 1 ? atoi(arguments[1]) : 60;
    pthread_t thread;
    setvbuf(stdout, NULL, _IOLBF, 0);
    listeners[0] = listener();
    pthread_create(&thread, NULL, server, NULL);
    for (int each = 0; each < clients; each++) pthread_create(&thread, NULL, client, NULL);
    long control = run(seconds / 2, 0);
    long hidden = run(seconds / 2, 1);
    return hidden > 0 || control == 0;
}
