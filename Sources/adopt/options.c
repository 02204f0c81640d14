#include "options.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "descriptors.h"
#include "inherited.h"

// Old headers lack these, or have them under _GNU_SOURCE only.
#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif
#ifndef UDP_GRO
#define UDP_GRO 104
#endif
#ifndef IPV6_RECVORIGDSTADDR
#define IPV6_RECVORIGDSTADDR 74
#endif

// Options that the program may have set before bind(2), and expects its listener or its connections to have. Options
// for sharing addresses are not among them: the launcher sets those.
static const struct {
    short level, name;
} kept[] = {
    {SOL_SOCKET, SO_KEEPALIVE},
    {SOL_SOCKET, SO_RCVBUF},
    {SOL_SOCKET, SO_SNDBUF},
    {SOL_SOCKET, SO_LINGER},
    {SOL_SOCKET, SO_RCVTIMEO},
    {SOL_SOCKET, SO_SNDTIMEO},
    {SOL_SOCKET, SO_RCVLOWAT},
    {SOL_SOCKET, SO_OOBINLINE},
    {SOL_SOCKET, SO_BROADCAST},
    {SOL_SOCKET, SO_DONTROUTE},
    {SOL_SOCKET, SO_PRIORITY},
    {SOL_SOCKET, SO_MARK},
    {SOL_SOCKET, SO_BUSY_POLL},
    {SOL_SOCKET, SO_ZEROCOPY},
    {SOL_SOCKET, SO_RXQ_OVFL},
    {SOL_SOCKET, SO_TIMESTAMP},
    {SOL_SOCKET, SO_TIMESTAMPNS},
    {SOL_SOCKET, SO_TIMESTAMPING},
    {SOL_SOCKET, SO_PASSCRED},
    {SOL_SOCKET, SO_PASSSEC},
    {IPPROTO_TCP, TCP_NODELAY},
    {IPPROTO_TCP, TCP_MAXSEG},
    {IPPROTO_TCP, TCP_KEEPIDLE},
    {IPPROTO_TCP, TCP_KEEPINTVL},
    {IPPROTO_TCP, TCP_KEEPCNT},
    {IPPROTO_TCP, TCP_SYNCNT},
    {IPPROTO_TCP, TCP_LINGER2},
    {IPPROTO_TCP, TCP_WINDOW_CLAMP},
    {IPPROTO_TCP, TCP_USER_TIMEOUT},
    {IPPROTO_TCP, TCP_DEFER_ACCEPT},
    {IPPROTO_TCP, TCP_FASTOPEN},
    {IPPROTO_TCP, TCP_SAVE_SYN},
    {IPPROTO_TCP, TCP_NOTSENT_LOWAT},
    {IPPROTO_TCP, TCP_CONGESTION},
    {IPPROTO_UDP, UDP_SEGMENT},
    {IPPROTO_UDP, UDP_GRO},
    {IPPROTO_IP, IP_TOS},
    {IPPROTO_IP, IP_TTL},
    {IPPROTO_IP, IP_MINTTL},
    {IPPROTO_IP, IP_TRANSPARENT},
    {IPPROTO_IP, IP_PKTINFO},
    {IPPROTO_IP, IP_RECVTOS},
    {IPPROTO_IP, IP_RECVTTL},
    {IPPROTO_IP, IP_RECVORIGDSTADDR},
    {IPPROTO_IP, IP_RECVERR},
    {IPPROTO_IP, IP_MTU_DISCOVER},
    {IPPROTO_IPV6, IPV6_TCLASS},
    {IPPROTO_IPV6, IPV6_UNICAST_HOPS},
    {IPPROTO_IPV6, IPV6_RECVPKTINFO},
    {IPPROTO_IPV6, IPV6_RECVTCLASS},
    {IPPROTO_IPV6, IPV6_RECVHOPLIMIT},
    {IPPROTO_IPV6, IPV6_RECVORIGDSTADDR},
    {IPPROTO_IPV6, IPV6_RECVERR},
    {IPPROTO_IPV6, IPV6_MTU_DISCOVER},
};

struct value {
    uint8_t bytes[32];
    socklen_t size;
};

static bool read_value(int fd, int level, int name, struct value *value) {
    *value = (struct value){.size = sizeof value->bytes};
    return getsockopt(fd, level, name, value->bytes, &value->size) == 0;
}

static bool is_same(const struct value *one, const struct value *other) {
    return !memcmp(one->bytes, other->bytes, sizeof one->bytes);
}

// Opens a socket of the same type as `like`, with the default options, or returns -1.
static int open_fresh(int like) {
    int domain = adopt_option(like, SOL_SOCKET, SO_DOMAIN), type = adopt_option(like, SOL_SOCKET, SO_TYPE);
    return (int)adopt_system_call()(
        SYS_socket, domain, type | SOCK_CLOEXEC, adopt_option(like, SOL_SOCKET, SO_PROTOCOL));
}

static bool is_unset(int fd, int *fresh, int level, int name, const struct value *value) {
    struct value unset = {0};
    if (*fresh == -1) *fresh = open_fresh(fd);
    // If no socket can be opened, compares with zeros: any option that is not off counts as set.
    read_value(*fresh, level, name, &unset);
    return is_same(value, &unset);
}

static void copy_option(int from, int to, int *fresh, int level, int name) {
    struct value theirs, ours;
    if (!read_value(from, level, name, &theirs) || !read_value(to, level, name, &ours)) return;
    // Options that the program has not set stay as the launcher or an earlier adopter set them, like `nodelay` of
    // --socket.
    if (is_same(&theirs, &ours) || is_unset(from, fresh, level, name, &theirs)) return;
    if (level == SOL_SOCKET && (name == SO_RCVBUF || name == SO_SNDBUF)) {
        // setsockopt(2) doubles the value (socket(7)).
        int value;
        memcpy(&value, theirs.bytes, sizeof value);
        value /= 2;
        memcpy(theirs.bytes, &value, sizeof value);
    }
    setsockopt(to, level, name, theirs.bytes, theirs.size);
}

void adopt_copy_options(int from, int to) {
    int fresh = -1;
    for (size_t index = 0; index < sizeof kept / sizeof *kept; index++)
        copy_option(from, to, &fresh, kept[index].level, kept[index].name);
    if (fresh != -1) adopt_close(fresh);
}
