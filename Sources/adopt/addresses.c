// A program that has bound a socket of one family, and got one of the other, sees addresses of its own family: those of
// the listener, and of the connections that it accepts. Where that has not happened, all is as it was.
#include <errno.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "adopters.h"
#include "place.h"

int accept4(int, struct sockaddr *, socklen_t *, int);

// Connections whose family is not the program's are marked in the kernel, by a flag that is of use to datagrams only:
// so a number that is another socket by now is not taken for one, and a copy, or a forked child's, is.
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

// The same of a listener or of a connection.
static int other_family_of_any(int fd) {
    if (!__atomic_load_n(&adopt_is_crossed, __ATOMIC_ACQUIRE)) return 0;
    int saved = errno, family = 0;
    if (is_marked(fd)) family = adopt_option(fd, SOL_SOCKET, SO_DOMAIN) == AF_INET6 ? AF_INET : AF_INET6;
    errno = saved;
    return family ? family : other_family(fd);
}

// The address in the other family, as far as it has one and there is room for what it is otherwise.
static void convert(struct sockaddr_storage *raw, socklen_t *size, int family, socklen_t room) {
    struct place place;
    if (raw->ss_family == family || !adopt_read_place(raw, *size, &place)) return;
    if (family == AF_INET6) {
        struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = place.port};
        if (!place.is_any) v6.sin6_addr = place.address;
        memcpy(raw, &v6, *size = sizeof v6);
    } else if (place.is_v4 || place.is_any || room < *size) {
        // A client that has no IPv4 address is nobody rather than half of somebody.
        struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = place.port};
        if (place.is_v4) memcpy(&v4.sin_addr, &place.address.s6_addr[12], sizeof v4.sin_addr);
        memcpy(raw, &v4, *size = sizeof v4);
    }
}

// As the kernel gives an address: what there is room for, and how long it is.
static void give(const struct sockaddr_storage *raw, socklen_t length, struct sockaddr *address, socklen_t *size) {
    memcpy(address, raw, length < *size ? length : *size);
    *size = length;
}

// What the kernel refuses is left to it.
static bool has_room(const struct sockaddr *address, const socklen_t *size) {
    return address && size && *size <= INT32_MAX;
}

// Accepts for accept(2), and for accept4(2) if there are `flags`.
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
