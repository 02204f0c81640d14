// What is closed soon after listen(2), by the process that has called that, becomes the launcher's again, from which
// the next bind(2) adopts it: an ordinary user could not bind to port 80 otherwise. Until then clients wait, as they
// did before the first one.
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

// When the last of them is not kept any more, 0 if there is none: all that close(2) costs then is to look here.
static int64_t watched_until;
// The process that has called listen(2).
static int listener;

static int64_t now(void) {
    struct timespec time = {0};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * INT64_C(1000000000) + time.tv_nsec;
}

// With the lock held.
static void keep_nothing(void) {
    for (int index = 0; index < adopt_count; index++) adopt_sockets[index].kept_until = 0;
    __atomic_store_n(&watched_until, 0, __ATOMIC_RELEASE);
}

void adopt_keep(struct inherited *socket) {
    int own = getpid();
    // The launcher could not shut it down for somebody who has been told to stop and does not bind again.
    if (socket->path) return;
    // What the parent has listened on is the parent's.
    if (listener != own) keep_nothing();
    __atomic_store_n(&listener, own, __ATOMIC_RELAXED);
    socket->kept_until = now() + seconds_kept * INT64_C(1000000000);
    __atomic_store_n(&watched_until, socket->kept_until, __ATOMIC_RELEASE);
}

struct closing {
    int fd;
    const struct inherited *socket;
};

// Whether this is a connection that came from one of our sockets, and whose client is still there.
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

// Whether a descriptor is neither another one of the socket, nor a client's. Who has clients, and closes, is told to
// stop, and will go when they go: new ones are to go to others at the same port until then, and the launcher is to see
// that it has closed.
static bool is_neither(int fd, void *context) {
    const struct closing *closing = context;
    uint64_t cookie;
    if (fd == closing->fd || !adopt_cookie(fd, &cookie)) return true;
    return cookie != closing->socket->cookie && !is_served(fd);
}

// What is closed is not waited for any more; but it would be, for as long as anybody has it. A registration under a
// number that has been closed already cannot be taken back.
static bool forget(int epoll, int number, struct epoll_event *event, void *context) {
    const struct closing *closing = context;
    return number == closing->fd && epoll_ctl(epoll, EPOLL_CTL_DEL, number, event) == 0;
}

// Has the socket where the launcher has put it, if this descriptor is the program's last, and nothing else is there.
static void keep(int fd, struct inherited *socket) {
    struct closing closing = {.fd = fd, .socket = socket};
    if (!adopt_each_descriptor(is_neither, &closing) || !adopt_each_registration(fd, forget, &closing))
        return;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, socket->number);
    if (copy == -1) return;
    // Programs that are started meanwhile know it by the number that is in their environment, and so does the launcher,
    // which shuts down what nobody has adopted.
    if (copy != socket->number) {
        adopt_close(copy);
        return;
    }
    fcntl(copy, F_SETFD, 0);
    socket->kept_until = 0;
    __atomic_store_n(&socket->is_adopted, false, __ATOMIC_RELEASE);
    __atomic_store_n(&socket->fd, copy, __ATOMIC_RELEASE);
}

// Closes a descriptor of ours, and before anybody else looks: of two threads that close the last two, one has to see
// that the other one has been closed.
static int look(int fd, int successor, int flags) {
    int64_t time = now(), until = __atomic_load_n(&watched_until, __ATOMIC_ACQUIRE);
    if (time > until) {
        // Nobody looks again, nor does a child that was forked meanwhile.
        __atomic_compare_exchange_n(&watched_until, &until, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
        return adopt_none;
    }
    // A child closes what is its parent's to keep, and shares our memory if it is of vfork(2).
    if (__atomic_load_n(&listener, __ATOMIC_RELAXED) != getpid() || !adopt_socket_at(fd)) return adopt_none;
    int result = adopt_none;
    sigset_t signals;
    adopt_lock(&signals);
    // Others may have come first.
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

// With the lock.
static sigset_t before_fork;

// A child has all descriptors of its parent, but not the thread that adopts at that time, and knows which of them are
// only for this: so that is waited for. Whoever forks with a listener has its children serve, and waits for them when
// that is closed.
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

// The program's own handlers, registered later, are called without the lock.
void adopt_see_forks(void) { pthread_atfork(prepare_fork, end_fork, end_fork); }

static bool is_watched(void) { return __atomic_load_n(&watched_until, __ATOMIC_ACQUIRE); }

int adopt_closes(int fd) { return is_watched() ? look(fd, -1, 0) : adopt_none; }

// dup3(2) closes nothing where it fails, and dup2(2) nothing where both are the same.
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

// Java, up to 12, closes by dup2(2) of a socket that it has for this before it calls close(2).
EXPORT int dup2(int old, int new) {
    int result = adopt_replaces(old, new, 0);
    return result == adopt_none ? NEXT(dup2)(old, new) : result;
}

EXPORT int dup3(int old, int new, int flags) {
    int result = adopt_replaces(old, new, flags);
    return result == adopt_none ? NEXT(dup3)(old, new, flags) : result;
}
