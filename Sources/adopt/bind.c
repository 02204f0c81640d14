// bind(2) of the address of an inherited socket makes the program's descriptor that socket; all else is as it was.
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <string.h>
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

// The families of which bind(2) of this address takes the port.
static int families(int fd, const struct sockaddr_storage *raw) {
    struct place place;
    if (raw->ss_family == AF_UNIX) return families_v4 | families_v6;
    if (!adopt_read_place(raw, sizeof *raw, &place) || place.is_v4) return families_v4;
    bool is_wide = place.is_any && adopt_option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
    return is_wide ? families_v4 | families_v6 : families_v6;
}

// As the kernel: bound twice by one program only where both have said so.
static bool conflicts(const struct adopter *newcomer) {
    const struct adopter *other = NULL;
    while ((other = adopt_adopter(newcomer->socket, other)))
        if (other->families & newcomer->families && !(other->shares && newcomer->shares)) return true;
    return false;
}

// Makes `fd` the inherited socket, with the flags that it has. An errno, or 0.
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
    // A copy that no other thread knows of, and looked at again: it is what will be ours.
    int copy = fcntl(adopt_source(socket), F_DUPFD_CLOEXEC, 3), result = 0;
    if (copy == -1) return errno;
    if (!adopt_is(copy, socket) || flags == -1 || fd_flags == -1) {
        result = EADDRNOTAVAIL;
    } else {
        adopt_copy_options(fd, copy);
        // Whether it blocks is the same for all who have it: whoever does not want to wait must never have to.
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
    // Nobody listens on it, so this is all that is to come.
    if (result == 0 && adopt_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM) adopt_release(socket);
    return result;
}

EXPORT int bind(int fd, const struct sockaddr *address, socklen_t size) {
    if (adopt_count > 0 && address && size > sizeof(sa_family_t) && size <= sizeof(struct sockaddr_storage)) {
        int saved = errno, result = 0;
        // A copy that is aligned, and ends in zeros.
        struct sockaddr_storage raw = {0};
        memcpy(&raw, address, size);
        struct inherited *socket = adopt_match(fd, &raw, size);
        if (socket) {
            sigset_t signals;
            adopt_lock(&signals);
            // Others may have come first.
            socket = adopt_match(fd, &raw, size);
            if (socket) result = adopt(fd, socket, &raw);
            adopt_unlock(&signals);
        }
        errno = result ? result : saved;
        if (socket) return result ? -1 : 0;
    }
    return NEXT(bind)(fd, address, size);
}

EXPORT int listen(int fd, int backlog) {
    struct inherited *socket = adopt_count > 0 ? adopt_socket_at(fd) : NULL;
    if (!socket) return NEXT(listen)(fd, backlog);
    // More than net.core.somaxconn is cut down to it, and less than nothing is as much as can be.
    int result = NEXT(listen)(fd, backlog < 0 || backlog > socket->backlog ? backlog : socket->backlog);
    // Until here a program may close it, and bind again: many look in this way whether a port is free. And for a short
    // time yet: others listen to find that out.
    // Who knows of the launcher's descriptor by other means, and uses that, has not adopted anything.
    if (result == 0 && fd != socket->fd && __atomic_load_n(&socket->is_adopted, __ATOMIC_ACQUIRE)) {
        sigset_t signals;
        adopt_lock(&signals);
        adopt_release(socket);
        adopt_keep(socket);
        adopt_unlock(&signals);
    }
    return result;
}
