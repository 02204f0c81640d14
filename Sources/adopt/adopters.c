#include "adopters.h"

// A static array, because malloc(3) must not be called in signal handlers, and bind(2) may be. Unused pages cost
// nothing.
static struct adopter adopters[4096];
static int count;
bool adopt_is_crossed;

static bool is_open(const struct adopter *adopter) {
    return adopter->socket && adopt_is(__atomic_load_n(&adopter->fd, __ATOMIC_ACQUIRE), adopter->socket);
}

const struct adopter *adopt_adopter(const struct inherited *socket, const struct adopter *behind) {
    int limit = __atomic_load_n(&count, __ATOMIC_ACQUIRE);
    for (const struct adopter *next = behind ? behind + 1 : adopters; next < adopters + limit; next++)
        if (next->socket == socket && is_open(next)) return next;
    return NULL;
}

void adopt_remember(const struct adopter *adopter) {
    struct adopter *place = NULL, *end = adopters + count;
    for (struct adopter *next = adopters; next < end; next++) {
        // An earlier adopter with this number has been closed.
        if (next->fd == adopter->fd) next->fd = -1;
        if (!place && !is_open(next)) place = next;
    }
    if (!place && count == sizeof adopters / sizeof *adopters) return;
    if (!place) place = end;
    // Other threads read without the lock: the entry is invalid (fd -1) until all of it is written.
    __atomic_store_n(&place->fd, -1, __ATOMIC_RELEASE);
    place->socket = adopter->socket;
    place->other_family = adopter->other_family;
    place->families = adopter->families;
    place->shares = adopter->shares;
    __atomic_store_n(&place->fd, adopter->fd, __ATOMIC_RELEASE);
    if (place == end) __atomic_store_n(&count, count + 1, __ATOMIC_RELEASE);
    if (adopter->other_family) __atomic_store_n(&adopt_is_crossed, true, __ATOMIC_RELEASE);
}

bool adopt_is_listed(int fd) {
    int limit = __atomic_load_n(&count, __ATOMIC_ACQUIRE);
    for (int index = 0; index < limit; index++)
        if (__atomic_load_n(&adopters[index].fd, __ATOMIC_ACQUIRE) == fd) return true;
    return false;
}

void adopt_remember_duplicate(int fd, const struct inherited *socket) {
    if (adopt_is_listed(fd)) return;
    for (int index = 0; index < count; index++) {
        if (adopters[index].socket != socket) continue;
        struct adopter adopter = adopters[index];
        adopter.fd = fd;
        return adopt_remember(&adopter);
    }
}

int adopt_other_family(int fd) {
    int limit = __atomic_load_n(&count, __ATOMIC_ACQUIRE), family = 0;
    for (int index = 0; index < limit; index++)
        if (__atomic_load_n(&adopters[index].fd, __ATOMIC_ACQUIRE) == fd && is_open(&adopters[index]))
            return adopters[index].other_family;
    // A duplicate made by the program is not in the list: takes an open adopter of its socket, or else a closed one.
    const struct inherited *socket = adopt_socket_at(fd);
    bool has_open = false;
    for (int index = 0; index < limit && socket; index++) {
        if (adopters[index].socket != socket || (has_open && !is_open(&adopters[index]))) continue;
        has_open = is_open(&adopters[index]);
        family = adopters[index].other_family;
    }
    return family;
}
