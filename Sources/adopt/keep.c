// Keeps a socket that the program closes soon after listen(2), if the same process does both: it becomes the launcher's
// descriptor again, and the next bind(2) adopts it. Without that an ordinary user could not bind to port 80 again.
// Clients wait meanwhile, as they did before the first bind(2).
#include "keep.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "descriptors.h"
#include "lock.h"
#include "place.h"

enum { seconds_kept = 5 };

// The latest `kept_until` of all sockets, 0 if none is kept. close(2) reads only this then.
static int64_t watched_until;
// The process that called listen(2).
static int listener;

static int64_t now(void) {
    struct timespec time = {0};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

// Keeps no socket any more. Needs the lock.
static void keep_nothing(void) {
    for (int index = 0; index < adopt_count; index++) adopt_sockets[index].kept_until = 0;
    __atomic_store_n(&watched_until, 0, __ATOMIC_RELEASE);
}

void adopt_keep(struct inherited *socket) {
    int own = getpid();
    // Does not keep Unix sockets: if the program stops and does not bind again, the launcher cannot shut them down.
    if (socket->path) return;
    // Forgets the sockets on which the parent process has listened.
    if (listener != own) keep_nothing();
    __atomic_store_n(&listener, own, __ATOMIC_RELAXED);
    socket->kept_until = now() + seconds_kept * INT64_C(1000000000);
    __atomic_store_n(&watched_until, socket->kept_until, __ATOMIC_RELEASE);
}

struct closing {
    int fd;
    const struct inherited *socket;
};

// Whether a descriptor is a connection of an inherited socket, and still open at the client's end.
static bool is_served(int fd) {
    struct sockaddr_storage name = {0};
    struct place place;
    struct tcp_info info = {0};
    socklen_t size = sizeof name, length = sizeof info;
    if (adopt_own_name(fd, &name, &size) == -1) return false;
    bool is_internet = adopt_read_place(&name, size, &place), is_ours = false;
    for (int index = 0; index < adopt_count && !is_ours; index++) {
        const struct inherited *socket = &adopt_sockets[index];
        is_ours = is_internet ? place.port != 0 && place.port == socket->port
                              : socket->path && !memcmp(&name, &socket->own, sizeof socket->own);
    }
    if (!is_ours || !is_internet) return is_ours && adopt_option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 0;
    return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0 && info.tcpi_state == TCP_ESTABLISHED;
}

// Whether a descriptor is neither another one of the socket, nor a client's. A program that closes its listener while
// it has clients has been told to stop, and finishes with them. Its socket must close, so that new clients go to others
// at the same port, and the launcher sees that it has closed.
static bool is_neither(int fd, void *context) {
    const struct closing *closing = context;
    uint64_t cookie;
    if (fd == closing->fd || !adopt_cookie(fd, &cookie)) return true;
    return cookie != closing->socket->cookie && !is_served(fd);
}

// Removes an epoll registration, as closing the socket would, which a kept socket does not. That fails for a
// registration under a number that has been closed already.
static bool forget(int epoll, int number, struct epoll_event *event, void *context) {
    const struct closing *closing = context;
    return number == closing->fd && epoll_ctl(epoll, EPOLL_CTL_DEL, number, event) == 0;
}

// Restores the launcher's descriptor, if this is the program's last one, and the number is free.
static void keep(int fd, struct inherited *socket) {
    struct closing closing = {.fd = fd, .socket = socket};
    if (!adopt_each_descriptor(is_neither, &closing) || !adopt_each_registration(fd, forget, &closing))
        return;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, socket->number);
    if (copy == -1) return;
    // Only that number will do: programs started meanwhile have it in their environment, and the launcher shuts down
    // sockets that nobody has adopted by it.
    if (copy != socket->number) {
        adopt_close(copy);
        return;
    }
    fcntl(copy, F_SETFD, 0);
    socket->kept_until = 0;
    __atomic_store_n(&socket->is_adopted, false, __ATOMIC_RELEASE);
    __atomic_store_n(&socket->fd, copy, __ATOMIC_RELEASE);
}

// Closes or replaces an inherited socket's descriptor while holding the lock: if two threads close the last two, one
// must see that the other's is closed.
static int look(int fd, int successor, int flags) {
    int64_t time = now(), until = __atomic_load_n(&watched_until, __ATOMIC_ACQUIRE);
    if (time > until) {
        // The time is over: makes later calls return early.
        __atomic_compare_exchange_n(&watched_until, &until, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
        return adopt_none;
    }
    // Ignores children, whose closing does not concern the parent's socket. A child of vfork(2) even shares this
    // memory.
    if (__atomic_load_n(&listener, __ATOMIC_RELAXED) != getpid() || !adopt_socket_at(fd)) return adopt_none;
    int result = adopt_none;
    sigset_t signals;
    adopt_lock(&signals);
    // Looks again with the lock: another thread may have closed it.
    struct inherited *socket = adopt_socket_at(fd);
    if (socket) {
        int saved = errno;
        if (socket->fd == -1 && time <= socket->kept_until) keep(fd, socket);
        errno = saved;
        result = successor == -1 ? adopt_close(fd) : adopt_replace(successor, fd, flags);
    }
    adopt_unlock(&signals);
    return result;
}

// Protected by the lock.
static sigset_t before_fork;

// Takes the lock before fork(2), because a child would inherit temporary descriptors of an adoption, but not the thread
// that closes them. Then keeps nothing any more: a program that forks with a listener lets its children serve, and when
// it closes that, it waits for them.
static void prepare_fork(void) {
    sigset_t signals;
    adopt_lock(&signals);
    before_fork = signals;
    keep_nothing();
}

static void end_fork(void) {
    sigset_t signals = before_fork;
    adopt_unlock(&signals);
}

// Handlers that the program registers later are called without the lock.
void adopt_see_forks(void) { pthread_atfork(prepare_fork, end_fork, end_fork); }

static bool is_watched(void) { return __atomic_load_n(&watched_until, __ATOMIC_ACQUIRE); }

int adopt_closes(int fd) { return is_watched() ? look(fd, -1, 0) : adopt_none; }

// Whether dup2(2) or dup3(2) will close `new`: not if the call fails, or both are equal.
static bool closes(int old, int new, int flags) {
    int saved = errno;
    bool is_good = old >= 0 && old != new && !(flags & ~O_CLOEXEC) && fcntl(old, F_GETFD) != -1;
    errno = saved;
    return is_good;
}

int adopt_replaces(int old, int new, int flags) {
    return is_watched() && closes(old, new, flags) ? look(new, old, flags) : adopt_none;
}

EXPORT int close(int fd) {
    int result = adopt_closes(fd);
    if (result != adopt_none) return result;
    return adopt_is_early(next_close) ? adopt_close(fd) : NEXT(close)(fd);
}

// Java up to 12 replaces a socket by another one with dup2(2) before it calls close(2).
EXPORT int dup2(int old, int new) {
    int result = adopt_replaces(old, new, 0);
    return result == adopt_none ? NEXT(dup2)(old, new) : result;
}

EXPORT int dup3(int old, int new, int flags) {
    int result = adopt_replaces(old, new, flags);
    return result == adopt_none ? NEXT(dup3)(old, new, flags) : result;
}
