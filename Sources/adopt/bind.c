// Makes bind(2) to the address of an inherited socket turn the program's descriptor into that socket.
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "adopters.h"
#include "descriptors.h"
#include "follow.h"
#include "keep.h"
#include "lock.h"
#include "match.h"
#include "options.h"
#include "place.h"

static bool is_bound(int fd) {
    struct sockaddr_storage address;
    struct place place;
    socklen_t size = sizeof address;
    if (adopt_own_name(fd, &address, &size) == -1) return false;
    return address.ss_family == AF_UNIX ? size > sizeof(sa_family_t)
                                        : adopt_read_place(&address, size, &place) && place.port != 0;
}

// Returns the families in which bind(2) to this address takes the port.
static int families(int fd, const struct sockaddr_storage *raw) {
    struct place place;
    if (raw->ss_family == AF_UNIX) return families_v4 | families_v6;
    if (!adopt_read_place(raw, sizeof *raw, &place) || place.is_v4) return families_v4;
    bool is_wide = place.is_any && adopt_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
    return is_wide ? families_v4 | families_v6 : families_v6;
}

// Whether the kernel would refuse another bind(2) in this program: unless both sockets have SO_REUSEPORT.
static bool conflicts(const struct adopter *newcomer) {
    const struct adopter *other = NULL;
    while ((other = adopt_adopter(newcomer->socket, other)))
        if (other->families & newcomer->families && !(other->shares && newcomer->shares)) return true;
    return false;
}

// Turns `fd` into the inherited socket; `fd` keeps its flags. Returns an errno, or 0.
static int adopt(int fd, struct inherited *socket, const struct sockaddr_storage *raw) {
    struct adopter adopter = {
        .socket = socket,
        .fd = fd,
        .families = families(fd, raw),
        .shares = adopt_option(fd, SOL_SOCKET, SO_REUSEPORT) > 0,
    };
    if (is_bound(fd)) return EINVAL;
    if (conflicts(&adopter)) return EADDRINUSE;
    int flags = fcntl(fd, F_GETFL), fd_flags = fcntl(fd, F_GETFD);
    // A duplicate that no other thread knows, so that it cannot change between the check and its use.
    int copy = fcntl(adopt_source(socket), F_DUPFD_CLOEXEC, 3), result = 0;
    if (copy == -1) return errno;
    if (!adopt_is(copy, socket) || flags == -1 || fd_flags == -1) {
        result = EADDRNOTAVAIL;
    } else {
        adopt_copy_options(fd, copy);
        // O_NONBLOCK applies to all descriptors of the socket: if anyone has set it, it stays set, because a program
        // that relies on it must not block.
        fcntl(copy, F_SETFL, fcntl(copy, F_GETFL) | flags);
        if (adopt_option(copy, SOL_SOCKET, SO_DOMAIN) != raw->ss_family) adopter.other_family = raw->ss_family;
        int old = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        if (adopt_replace(copy, fd, fd_flags & FD_CLOEXEC ? O_CLOEXEC : 0) == -1) {
            result = errno;
        } else {
            adopt_remember(&adopter);
            __atomic_store_n(&socket->is_adopted, true, __ATOMIC_RELEASE);
            if (old != -1) adopt_follow(&adopter, old);
        }
        if (old != -1) adopt_close(old);
    }
    adopt_close(copy);
    // Datagram sockets never listen, so the launcher's descriptor is not needed after bind(2).
    if (result == 0 && adopt_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM) {
        adopt_release(socket);
        adopt_keep();
    }
    return result;
}

// Lets a socket of the program's own share the address of one that is lost, so that it keeps no later generation from
// binding. The kernel lets only sockets of one user share it. Returns an errno, or 0.
static int share(int fd, const struct inherited *lost) {
    struct stat status;
    int on = 1;
    if (fstat(fd, &status) == -1) return errno;
    if (status.st_uid != lost->maker) return EADDRINUSE;
    return setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == -1 ? errno : 0;
}

EXPORT int bind(int fd, const struct sockaddr *address, socklen_t size) {
    if (adopt_count > 0 && address && size > sizeof(sa_family_t) && size <= sizeof(struct sockaddr_storage)) {
        int saved = errno, result = 0;
        // An aligned copy, filled up with zeros.
        struct sockaddr_storage raw = {0};
        memcpy(&raw, address, size);
        struct inherited *socket = adopt_match(fd, &raw, size);
        if (socket) {
            sigset_t signals;
            adopt_lock(&signals);
            // Looks again with the lock: another thread may have adopted it.
            socket = adopt_match(fd, &raw, size);
            if (socket) result = adopt(fd, socket, &raw);
            adopt_unlock(&signals);
        }
        const struct inherited *lost = socket || !adopt_is_kept_for() ? NULL : adopt_lost(fd, &raw, size);
        if (lost) result = share(fd, lost);
        errno = result ? result : saved;
        if (socket || result) return result ? -1 : 0;
    }
    return NEXT(bind)(fd, address, size);
}

EXPORT int listen(int fd, int backlog) {
    struct inherited *socket = adopt_count > 0 ? adopt_socket_at(fd) : NULL;
    if (!socket) return NEXT(listen)(fd, backlog);
    // Never less than the launcher's backlog. The kernel takes a negative one as the largest, and cuts all down to
    // net.core.somaxconn.
    int result = NEXT(listen)(fd, backlog < 0 || backlog > socket->backlog ? backlog : socket->backlog);
    // Gives up the launcher's descriptor only now: before listen(2), many programs close the socket and bind again, to
    // see whether a port is free. Some do so after listen(2), so the socket is kept for a short time. A program that
    // listens on the launcher's own descriptor has not adopted it.
    if (result == 0 && fd != socket->fd && __atomic_load_n(&socket->is_adopted, __ATOMIC_ACQUIRE)) {
        sigset_t signals;
        adopt_lock(&signals);
        adopt_release(socket);
        adopt_remember_duplicate(fd, socket);
        adopt_keep();
        adopt_unlock(&signals);
    }
    return result;
}

// Opens a socket that is bound to the same address, with the same options, and connects it. Returns an errno, or 0.
static int open_connected(int fd, const struct sockaddr *address, socklen_t size, int *connected) {
    struct sockaddr_storage own;
    socklen_t length = sizeof own;
    int on = 1;
    if (adopt_own_name(fd, &own, &length) == -1) return errno;
    *connected = (int)adopt_system_call()(SYS_socket, own.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (*connected == -1) return errno;
    fcntl(*connected, F_SETFL, fcntl(fd, F_GETFL));
    adopt_copy_options(fd, *connected);
    return setsockopt(*connected, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == -1 ||
                   NEXT(bind)(*connected, (struct sockaddr *)&own, length) == -1 ||
                   NEXT(connect)(*connected, address, size) == -1
               ? errno
               : 0;
}

// Whether this is one of several adopters of a datagram socket. If it is connected, as programs with DTLS do, it must
// not cut off the others.
static bool is_shared(int fd) {
    if (!adopt_is_listed(fd) || adopt_option(fd, SOL_SOCKET, SO_TYPE) != SOCK_DGRAM) return false;
    const struct inherited *socket = adopt_socket_at(fd);
    const struct adopter *first = socket ? adopt_adopter(socket, NULL) : NULL;
    return first && adopt_adopter(socket, first);
}

EXPORT int connect(int fd, const struct sockaddr *address, socklen_t size) {
    int saved = errno;
    bool shared = adopt_count > 0 && address && size >= sizeof(sa_family_t) && is_shared(fd) &&
                  address->sa_family != AF_UNSPEC;
    errno = saved;
    if (!shared) return NEXT(connect)(fd, address, size);
    int connected = -1, flags = fcntl(fd, F_GETFD);
    int result = open_connected(fd, address, size, &connected);
    if (result == 0 && adopt_replace(connected, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) == -1) result = errno;
    if (connected != -1) adopt_close(connected);
    errno = result ? result : saved;
    return result ? -1 : 0;
}
