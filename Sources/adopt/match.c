#include "match.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>

#include "adopters.h"
#include "place.h"

enum { protocol_mptcp = 262, device_size = 16 };

// Ranks how well a socket bound at `there` fits a program that asks for `wanted`: 0 is best, -1 does not fit. A wider
// address than the wanted one never fits, because it would expose a local service to the network.
static int rank(const struct place *wanted, const struct place *there, bool is_dual_stack) {
    if (wanted->port != there->port) return -1;
    if (!memcmp(&wanted->address, &there->address, sizeof there->address) && wanted->scope == there->scope) return 0;
    if (!wanted->is_any) return -1;
    if (there->is_any) return is_dual_stack ? 1 : 2;
    return wanted->is_v4 == there->is_v4 ? 3 : 4;
}

static bool has_protocol(int fd, int type, int protocol) {
    // Multipath TCP falls back to TCP for clients without it, so a TCP socket fits.
    return adopt_option(fd, SOL_SOCKET, SO_TYPE) == type &&
           (protocol == protocol_mptcp ? IPPROTO_TCP : protocol) == adopt_option(fd, SOL_SOCKET, SO_PROTOCOL);
}

int adopt_source(const struct inherited *socket) {
    int fd = __atomic_load_n(&socket->fd, __ATOMIC_ACQUIRE);
    if (adopt_is(fd, socket)) return fd;
    const struct adopter *adopter = adopt_adopter(socket, NULL);
    return adopter ? adopter->fd : -1;
}

// Lets datagram sockets be adopted by the same family only, because programs send with an address of their own family.
static int source(const struct inherited *socket, int type, int domain) {
    int fd = adopt_source(socket);
    return type != SOCK_DGRAM || adopt_option(fd, SOL_SOCKET, SO_DOMAIN) == domain ? fd : -1;
}

// Whether the program has asked for another network interface than the candidate's.
static bool has_other_device(int fd, int candidate) {
    char device[device_size] = "", there[device_size] = "";
    socklen_t size = device_size, size_there = device_size;
    if (getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &size) == -1 || !*device) return false;
    return getsockopt(candidate, SOL_SOCKET, SO_BINDTODEVICE, there, &size_there) == -1 || strcmp(device, there);
}

static struct inherited *find_internet_socket(int fd, const struct sockaddr_storage *raw, socklen_t size) {
    struct place wanted, there;
    int type = adopt_option(fd, SOL_SOCKET, SO_TYPE), protocol = adopt_option(fd, SOL_SOCKET, SO_PROTOCOL), best = 5;
    struct inherited *found = NULL;
    if (!adopt_read_place(raw, size, &wanted) || wanted.port == 0) return NULL;
    for (int index = 0; index < adopt_count; index++) {
        struct inherited *socket = &adopt_sockets[index];
        if (socket->path) continue;
        struct sockaddr_storage address;
        socklen_t length = sizeof address;
        int candidate = source(socket, type, raw->ss_family);
        if (candidate == -1 || !has_protocol(candidate, type, protocol) ||
            adopt_own_name(candidate, &address, &length) == -1 || !adopt_read_place(&address, length, &there))
            continue;
        bool is_dual_stack =
            address.ss_family == AF_INET6 && adopt_option(candidate, IPPROTO_IPV6, IPV6_V6ONLY) == 0;
        int this = rank(&wanted, &there, is_dual_stack);
        if (this < 0 || this >= best || has_other_device(fd, candidate)) continue;
        best = this;
        found = socket;
    }
    return found;
}

struct inherited *adopt_lost(int fd, const struct sockaddr_storage *raw, socklen_t size) {
    struct place wanted, there;
    int type = adopt_option(fd, SOL_SOCKET, SO_TYPE);
    if (!adopt_read_place(raw, size, &wanted) || wanted.port == 0) return NULL;
    for (int index = 0; index < adopt_count; index++) {
        struct inherited *socket = &adopt_sockets[index];
        if (socket->type == type && adopt_read_place(&socket->name, sizeof socket->name, &there) &&
            rank(&wanted, &there, false) >= 0 && adopt_source(socket) == -1)
            return socket;
    }
    return NULL;
}

static struct inherited *find_unix_socket(int fd, const struct sockaddr_storage *raw, socklen_t size) {
    char path[sizeof(struct sockaddr_un)] = "";
    // Inherited Unix sockets have a path, so an unnamed or abstract address does not match.
    if (adopt_option(fd, SOL_SOCKET, SO_TYPE) != SOCK_STREAM || size > sizeof(struct sockaddr_un)) return NULL;
    memcpy(path, ((const struct sockaddr_un *)raw)->sun_path, size - offsetof(struct sockaddr_un, sun_path));
    struct inherited *found = adopt_socket_of(AT_FDCWD, path);
    return found && adopt_source(found) != -1 ? found : NULL;
}

struct inherited *adopt_match(int fd, const struct sockaddr_storage *raw, socklen_t size) {
    // The kernel reports an address of the wrong family.
    if (adopt_option(fd, SOL_SOCKET, SO_DOMAIN) != raw->ss_family) return NULL;
    return raw->ss_family == AF_UNIX ? find_unix_socket(fd, raw, size) : find_internet_socket(fd, raw, size);
}
