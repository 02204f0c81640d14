// Converts addresses for a program that asked for a socket of one family and adopted one of the other: it sees
// addresses of its own family, of the listener and of the connections that it accepts. Other sockets are not affected.
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "adopters.h"
#include "place.h"

int accept4(int, struct sockaddr *, socklen_t *, int);

// Marks a connection whose family is not the one that the program expects, with an option that has no effect on
// streams. The mark is on the socket, not on its number: duplicates have it, also in forked children, and later sockets
// do not.
static void mark(int fd) {
    int saved = errno, on = 1;
    setsockopt(fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
    errno = saved;
}

static bool is_marked(int fd) {
    return adopt_option(fd, SOL_SOCKET, SO_RXQ_OVFL) == 1 && adopt_option(fd, SOL_SOCKET, SO_TYPE) == SOCK_STREAM;
}

static int other_family(int fd) {
    if (!__atomic_load_n(&adopt_is_crossed, __ATOMIC_ACQUIRE)) return 0;
    int saved = errno, family = adopt_other_family(fd);
    errno = saved;
    return family;
}

// The family that the program expects for a listener or a connection, if it is not the socket's; otherwise 0.
static int other_family_of_any(int fd) {
    if (!__atomic_load_n(&adopt_is_crossed, __ATOMIC_ACQUIRE)) return 0;
    int saved = errno, family = 0;
    if (is_marked(fd)) family = adopt_option(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET6 ? AF_INET : AF_INET6;
    errno = saved;
    return family ? family : other_family(fd);
}

// Converts an address to `family`. An IPv6 address that has no IPv4 form stays as it is, if the program has room for
// it.
static void convert(struct sockaddr_storage *raw, socklen_t *size, int family, socklen_t room) {
    struct place place;
    if (raw->ss_family == family || !adopt_read_place(raw, *size, &place)) return;
    if (family == AF_INET6) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = place.port};
        if (!place.is_any) v6.sin6_addr = place.address;
        memcpy(raw, &v6, *size = sizeof v6);
    } else if (place.is_v4 || place.is_any || room < *size) {
        // Without room, such a client becomes 0.0.0.0: a truncated IPv6 address would be misread.
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = place.port};
        if (place.is_v4) memcpy(&v4.sin_addr, &place.address.s6_addr[12], sizeof v4.sin_addr);
        memcpy(raw, &v4, *size = sizeof v4);
    }
}

// Writes an address as the kernel does: as much as fits, and the full length.
static void give(const struct sockaddr_storage *raw, socklen_t length, struct sockaddr *address, socklen_t *size) {
    memcpy(address, raw, length < *size ? length : *size);
    *size = length;
}

// Whether the program's buffer is valid. Otherwise the kernel gets the call as it is, and fails it.
static bool has_room(const struct sockaddr *address, const socklen_t *size) {
    return address && size && *size <= INT32_MAX;
}

// Implements accept(2), and accept4(2) if there are `flags`.
static int take(int fd, struct sockaddr *address, socklen_t *size, const int *flags) {
    int family = other_family(fd);
    bool converts = family && has_room(address, size);
    struct sockaddr_storage raw = {0};
    socklen_t length = sizeof raw;
    struct sockaddr *where = converts ? (struct sockaddr *)&raw : address;
    socklen_t *how_long = converts ? &length : size;
    int connection = flags ? NEXT(accept4)(fd, where, how_long, *flags) : NEXT(accept)(fd, where, how_long);
    if (connection == -1 || !family) return connection;
    mark(connection);
    if (converts) {
        convert(&raw, &length, family, *size);
        give(&raw, length, address, size);
    }
    return connection;
}

EXPORT int accept(int fd, struct sockaddr *restrict address, socklen_t *restrict size) {
    return take(fd, address, size, NULL);
}

EXPORT int accept4(int fd, struct sockaddr *restrict address, socklen_t *restrict size, int flags) {
    return take(fd, address, size, &flags);
}

static int name(__typeof__(&getsockname) next, int fd, struct sockaddr *address, socklen_t *size) {
    int family = other_family_of_any(fd);
    if (!family || !has_room(address, size)) return next(fd, address, size);
    struct sockaddr_storage raw = {0};
    socklen_t length = sizeof raw;
    if (next(fd, (struct sockaddr *)&raw, &length) == -1) return -1;
    convert(&raw, &length, family, *size);
    give(&raw, length, address, size);
    return 0;
}

EXPORT int getsockname(int fd, struct sockaddr *restrict address, socklen_t *restrict size) {
    return name(NEXT(getsockname), fd, address, size);
}

EXPORT int getpeername(int fd, struct sockaddr *restrict address, socklen_t *restrict size) {
    return name(NEXT(getpeername), fd, address, size);
}

int adopt_own_name(int fd, struct sockaddr_storage *address, socklen_t *size) {
    return NEXT(getsockname)(fd, (struct sockaddr *)address, size);
}
