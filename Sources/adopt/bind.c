// bind(2) of the address of an inherited socket makes the program's descriptor that socket; all else is as it was.
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stddef.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "inherited.h"

enum { families_v4 = 1, families_v6 = 2, protocol_mptcp = 262 };

static int option(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

// An Internet address in one form for both families: an IPv4 one is mapped into IPv6.
struct place {
    struct in6_addr address;
    uint32_t scope;
    in_port_t port;
    bool is_v4, is_any;
};

static bool read_place(const struct sockaddr_storage *raw, socklen_t size, struct place *place) {
    memset(place, 0, sizeof *place);
    if (raw->ss_family == AF_INET && size >= sizeof(struct sockaddr_in)) {
        const struct sockaddr_in *v4 = (const void *)raw;
        place->address.s6_addr[10] = place->address.s6_addr[11] = 0xFF;
        memcpy(&place->address.s6_addr[12], &v4->sin_addr, 4);
        place->port = v4->sin_port;
    } else if (raw->ss_family == AF_INET6 && size >= offsetof(struct sockaddr_in6, sin6_scope_id)) {
        const struct sockaddr_in6 *v6 = (const void *)raw;
        place->address = v6->sin6_addr;
        place->port = v6->sin6_port;
        if (size >= sizeof *v6 && IN6_IS_ADDR_LINKLOCAL(&place->address)) place->scope = v6->sin6_scope_id;
    } else {
        return false;
    }
    static const uint8_t none[16];
    place->is_v4 = IN6_IS_ADDR_V4MAPPED(&place->address);
    place->is_any = !memcmp(&place->address.s6_addr[12], none, 4) &&
                    (place->is_v4 || IN6_IS_ADDR_UNSPECIFIED(&place->address));
    return true;
}

// How well a socket bound at `there` serves a program that asks for `wanted`: 0 is best, -1 not at all. Never a wider
// one than was asked for: that would open to the world what was meant for this host.
static int rank(const struct place *wanted, const struct place *there, bool is_dual_stack) {
    if (wanted->port != there->port) return -1;
    if (!memcmp(&wanted->address, &there->address, sizeof there->address) && wanted->scope == there->scope) return 0;
    if (!wanted->is_any) return -1;
    if (there->is_any) return is_dual_stack ? 1 : 2;
    return wanted->is_v4 == there->is_v4 ? 3 : 4;
}

static bool has_protocol(int fd, int type, int protocol) {
    // Some programs ask for multipath TCP, which is TCP to those who have never heard of it.
    return option(fd, SOL_SOCKET, SO_TYPE) == type &&
           (protocol == protocol_mptcp ? IPPROTO_TCP : protocol) == option(fd, SOL_SOCKET, SO_PROTOCOL);
}

// A descriptor from which the socket can be had: the launcher's, or the one with which the program has adopted it.
static int source(const struct inherited *socket) {
    int fd = __atomic_load_n(&socket->fd, __ATOMIC_ACQUIRE);
    if (adopt_is(fd, socket)) return fd;
    fd = __atomic_load_n(&socket->adopter, __ATOMIC_ACQUIRE);
    return adopt_is(fd, socket) ? fd : -1;
}

static struct inherited *find_internet_socket(int fd, const struct sockaddr_storage *raw, socklen_t size) {
    struct place wanted, there;
    int type = option(fd, SOL_SOCKET, SO_TYPE), protocol = option(fd, SOL_SOCKET, SO_PROTOCOL), best = 5;
    struct inherited *found = NULL;
    if (!read_place(raw, size, &wanted) || wanted.port == 0) return NULL;
    for (int index = 0; index < adopt_count; index++) {
        struct sockaddr_storage address;
        socklen_t length = sizeof address;
        int candidate = adopt_sockets[index].path ? -1 : source(&adopt_sockets[index]);
        if (candidate == -1 || !has_protocol(candidate, type, protocol) ||
            getsockname(candidate, (struct sockaddr *)&address, &length) == -1 || !read_place(&address, length, &there))
            continue;
        bool is_dual_stack = address.ss_family == AF_INET6 && option(candidate, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
        int this = rank(&wanted, &there, is_dual_stack);
        if (this < 0 || this >= best) continue;
        best = this;
        found = &adopt_sockets[index];
    }
    return found;
}

static struct inherited *find_unix_socket(int fd, const struct sockaddr_storage *raw, socklen_t size) {
    char path[sizeof(struct sockaddr_un)] = "";
    // A name without a path, or an abstract one, is never ours.
    if (option(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM || size > sizeof(struct sockaddr_un)) return NULL;
    memcpy(path, ((const struct sockaddr_un *)raw)->sun_path, size - offsetof(struct sockaddr_un, sun_path));
    struct inherited *found = adopt_socket_of(AT_FDCWD, path);
    return found && source(found) != -1 ? found : NULL;
}

static bool is_bound(int fd) {
    struct sockaddr_storage address;
    struct place place;
    socklen_t size = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &size) == -1) return false;
    return address.ss_family == AF_UNIX ? size > sizeof(sa_family_t)
                                        : read_place(&address, size, &place) && place.port != 0;
}

// What the program may have set already, and expects of its listener or of the connections that come out of it. Those
// that say how addresses are shared are the launcher's business.
static const struct {
    short level, name;
} kept[] = {
    {SOL_SOCKET, SO_KEEPALIVE},       {SOL_SOCKET, SO_RCVBUF},          {SOL_SOCKET, SO_SNDBUF},
    {SOL_SOCKET, SO_LINGER},          {SOL_SOCKET, SO_RCVTIMEO},        {SOL_SOCKET, SO_SNDTIMEO},
    {SOL_SOCKET, SO_OOBINLINE},       {SOL_SOCKET, SO_BROADCAST},       {SOL_SOCKET, SO_PRIORITY},
    {SOL_SOCKET, SO_PASSCRED},        {IPPROTO_TCP, TCP_NODELAY},       {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},     {IPPROTO_TCP, TCP_KEEPCNT},       {IPPROTO_TCP, TCP_USER_TIMEOUT},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT},  {IPPROTO_TCP, TCP_FASTOPEN},      {IPPROTO_TCP, TCP_CONGESTION},
    {IPPROTO_IP, IP_TOS},             {IPPROTO_IP, IP_PKTINFO},         {IPPROTO_IP, IP_RECVTOS},
    {IPPROTO_IP, IP_RECVTTL},         {IPPROTO_IP, IP_RECVERR},         {IPPROTO_IP, IP_MTU_DISCOVER},
    {IPPROTO_IPV6, IPV6_TCLASS},      {IPPROTO_IPV6, IPV6_RECVPKTINFO}, {IPPROTO_IPV6, IPV6_RECVTCLASS},
    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT}, {IPPROTO_IPV6, IPV6_RECVERR},    {IPPROTO_IPV6, IPV6_MTU_DISCOVER},
};

static void copy_options(int from, int to) {
    for (size_t index = 0; index < sizeof kept / sizeof *kept; index++) {
        int level = kept[index].level, name = kept[index].name;
        uint8_t theirs[32] = {0}, ours[32] = {0};
        static const uint8_t nothing[32];
        socklen_t size = sizeof theirs, our_size = sizeof ours;
        // What is off is left as the launcher has it: `nodelay` of --socket stays.
        if (getsockopt(from, level, name, theirs, &size) == -1 || !memcmp(theirs, nothing, sizeof nothing) ||
            getsockopt(to, level, name, ours, &our_size) == -1 || !memcmp(theirs, ours, sizeof ours))
            continue;
        if (level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_SNDBUF)) {
            // The kernel doubles what it is told (socket(7)).
            int value;
            memcpy(&value, theirs, sizeof value);
            value /= 2;
            memcpy(theirs, &value, sizeof value);
        }
        setsockopt(to, level, name, theirs, size);
    }
}

// The families of which bind(2) of this address takes the port.
static int families(int fd, const struct sockaddr_storage *raw) {
    struct place place;
    if (raw->ss_family == AF_UNIX) return families_v4 | families_v6;
    if (!read_place(raw, sizeof *raw, &place) || place.is_v4) return families_v4;
    return place.is_any && option(fd, IPPROTO_IPV6, IPV6_V6ONLY) == 0 ? families_v4 | families_v6 : families_v6;
}

// As the kernel: bound twice by one program only where both say so.
static bool conflicts(int fd, struct inherited *socket, int wanted) {
    if (!adopt_is(__atomic_load_n(&socket->adopter, __ATOMIC_ACQUIRE), socket)) {
        // Whoever had it has closed it, so there is nobody to be in conflict with.
        __atomic_store_n(&socket->families, wanted, __ATOMIC_RELEASE);
        return false;
    }
    bool shares = option(fd, SOL_SOCKET, SO_REUSEPORT) > 0 ||
                  (option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM && option(fd, SOL_SOCKET, SO_REUSEADDR) > 0);
    int taken = __atomic_load_n(&socket->families, __ATOMIC_ACQUIRE);
    do {
        if (taken & wanted && !shares) return true;
    } while (!__atomic_compare_exchange_n(
        &socket->families, &taken, taken | wanted, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE));
    return false;
}

// Makes `fd` the inherited socket, with the flags that it has. An errno, or 0.
static int adopt(int fd, struct inherited *socket, const struct sockaddr_storage *raw) {
    if (is_bound(fd)) return EINVAL;
    if (conflicts(fd, socket, families(fd, raw))) return EADDRINUSE;
    int flags = fcntl(fd, F_GETFL), fd_flags = fcntl(fd, F_GETFD);
    // A copy that no other thread knows of, and looked at again: it is what will be ours.
    int copy = fcntl(source(socket), F_DUPFD_CLOEXEC, 3), result = 0;
    if (copy == -1) return errno;
    if (!adopt_is(copy, socket) || flags == -1 || fd_flags == -1) {
        result = EADDRNOTAVAIL;
    } else {
        copy_options(fd, copy);
        fcntl(copy, F_SETFL, flags);
        if (dup3(copy, fd, fd_flags & FD_CLOEXEC ? O_CLOEXEC : 0) == -1) result = errno;
    }
    close(copy);
    if (result == 0) {
        __atomic_store_n(&socket->adopter, fd, __ATOMIC_RELEASE);
        // Nobody listens on it, so this is all that is to come.
        if (option(fd, SOL_SOCKET, SO_TYPE) == SOCK_DGRAM) adopt_release(socket);
    }
    return result;
}

static void *next_bind, *next_listen;

EXPORT int bind(int fd, const struct sockaddr *address, socklen_t size) {
    if (adopt_count > 0 && address && size > sizeof(sa_family_t) && size <= sizeof(struct sockaddr_storage)) {
        int saved = errno;
        // A copy that is aligned, and ends in zeros.
        struct sockaddr_storage raw = {0};
        memcpy(&raw, address, size);
        struct inherited *socket = NULL;
        // The wrong family for the socket is a mistake, which the kernel knows the name of.
        if (option(fd, SOL_SOCKET, SO_DOMAIN) == raw.ss_family)
            socket = raw.ss_family == AF_UNIX ? find_unix_socket(fd, &raw, size) : find_internet_socket(fd, &raw, size);
        if (socket) {
            int result = adopt(fd, socket, &raw);
            errno = result ? result : saved;
            return result ? -1 : 0;
        }
        errno = saved;
    }
    return NEXT(bind)(fd, address, size);
}

EXPORT int listen(int fd, int backlog) {
    struct inherited *socket = adopt_count > 0 ? adopt_socket_at(fd) : NULL;
    if (!socket) return NEXT(listen)(fd, backlog);
    // More than net.core.somaxconn is cut down to it, and less than nothing is as much as can be.
    int result = NEXT(listen)(fd, backlog < 0 || backlog > socket->backlog ? backlog : socket->backlog);
    // Until here a program may close it, and bind again: many look in this way whether a port is free.
    // Who knows of the launcher's descriptor by other means, and uses that, has not adopted anything.
    if (result == 0 && fd != socket->fd && socket->adopter != -1) adopt_release(socket);
    return result;
}
