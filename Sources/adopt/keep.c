// Keeps a socket that the program closes, if the same process has listened on it: it becomes the launcher's descriptor
// again, and the next bind(2) adopts it. Without that an ordinary user could not bind to port 80 again, and nobody
// could join the group of a port that others share. Clients wait meanwhile.
//
// A program that has been told to stop closes its socket too, and does not bind again. So the socket is closed
// (sweep.c) soon, unless it is bound again.
#include "keep.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <time.h>
#include <unistd.h>

#include "adopters.h"
#include "descriptors.h"
#include "lock.h"
#include "sweep.h"

enum { seconds_watched = 5 };

// The time until which all descriptors are looked at when they are closed, also duplicates that are not in the list of
// adopters. Afterwards close(2) makes no system call for most.
static int64_t watched_until;
// The process that called listen(2).
static int listener;

void adopt_keep(void) {
    __atomic_store_n(&listener, getpid(), __ATOMIC_RELAXED);
    __atomic_store_n(&watched_until, adopt_now() + seconds_watched * adopt_second, __ATOMIC_RELEASE);
}

bool adopt_is_kept_for(void) { return __atomic_load_n(&listener, __ATOMIC_RELAXED) == getpid(); }

struct closing {
    int fd;
    const struct inherited *socket;
};

// Whether a descriptor is not another one of the socket. If it is, the program will close that later.
static bool is_no_duplicate(int fd, void *context) {
    const struct closing *closing = context;
    if (fd == closing->fd || !adopt_is(fd, closing->socket)) return true;
    adopt_remember_duplicate(fd, closing->socket);
    return false;
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
    if (!adopt_each_descriptor(is_no_duplicate, &closing) || !adopt_each_registration(fd, forget, &closing))
        return;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, socket->number);
    if (copy == -1) return;
    // Only that number will do: programs started meanwhile have it in their environment, also this one when it executes
    // itself, and the launcher shuts down sockets that nobody has adopted by it.
    if (copy != socket->number) {
        adopt_close(copy);
        return;
    }
    fcntl(copy, F_SETFD, 0);
    __atomic_store_n(&socket->is_adopted, false, __ATOMIC_RELEASE);
    __atomic_store_n(&socket->fd, copy, __ATOMIC_RELEASE);
    adopt_close_later(socket);
}

static bool is_watched(void) {
    int64_t until = __atomic_load_n(&watched_until, __ATOMIC_ACQUIRE);
    if (!until || adopt_now() <= until) return until;
    // The time is over: makes later calls return early.
    __atomic_compare_exchange_n(&watched_until, &until, 0, false, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    return false;
}

// Whether this is the launcher's descriptor, which the program does not know.
static bool is_launchers(int fd) {
    for (int index = 0; index < adopt_count; index++)
        if (__atomic_load_n(&adopt_sockets[index].fd, __ATOMIC_ACQUIRE) == fd)
            return adopt_is(fd, &adopt_sockets[index]);
    return false;
}

// Closes or replaces an inherited socket's descriptor while holding the lock: if two threads close the last two, one
// must see that the other's is closed.
static int look(int fd, int successor, int flags) {
    int saved = errno, result = adopt_none;
    // Ignores children, whose closing does not concern the parent's socket. A child of vfork(2) even shares this
    // memory.
    if (!adopt_is_kept_for() || !adopt_socket_at(fd)) return adopt_none;
    sigset_t signals;
    adopt_lock(&signals);
    // Looks again with the lock: another thread may have closed it.
    struct inherited *socket = adopt_socket_at(fd);
    if (socket) {
        if (socket->fd == -1) keep(fd, socket);
        errno = saved;
        result = successor == -1 ? adopt_close(fd) : adopt_replace(successor, fd, flags);
    }
    adopt_unlock(&signals);
    return result;
}

static bool is_looked_at(int fd) { return adopt_is_listed(fd) || is_watched(); }

// Spares sockets that are not adopted yet: programs such as dnsmasq close all descriptors that they do not know.
int adopt_closes(int fd) {
    if (fd < 0 || adopt_count == 0) return adopt_none;
    if (is_launchers(fd)) return 0;
    return is_looked_at(fd) ? look(fd, -1, 0) : adopt_none;
}

// Whether dup2(2) or dup3(2) will close `new`: not if the call fails, or both are equal.
static bool closes(int old, int new, int flags) {
    int saved = errno;
    bool is_good = old >= 0 && old != new && !(flags & ~O_CLOEXEC) && fcntl(old, F_GETFD) != -1;
    errno = saved;
    return is_good;
}

int adopt_replaces(int old, int new, int flags) {
    if (new < 0 || adopt_count == 0) return adopt_none;
    return is_looked_at(new) && closes(old, new, flags) ? look(new, old, flags) : adopt_none;
}

// Protected by the lock.
static sigset_t before_fork;

// Takes the lock before fork(2), because a child would inherit temporary descriptors of an adoption, but not the thread
// that closes them.
static void prepare_fork(void) {
    sigset_t signals;
    adopt_lock(&signals);
    before_fork = signals;
}

static void end_fork(void) {
    sigset_t signals = before_fork;
    adopt_unlock(&signals);
}

// A child may bind what its parent has closed, as one that was looking for a free port.
static void end_fork_in_child(void) {
    adopt_forget_sweeper();
    end_fork();
}

// Handlers that the program registers later are called without the lock.
void adopt_see_forks(void) { pthread_atfork(prepare_fork, end_fork, end_fork_in_child); }

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
