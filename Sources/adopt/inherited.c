#include "inherited.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "descriptors.h"
#include "keep.h"

struct inherited *adopt_sockets;
int adopt_count;

// Reads a decimal number followed by `end`, and moves `text` behind both. False if there is none.
static bool number(const char **text, char end, uint64_t limit, uint64_t *value) {
    char *rest;
    if (**text < '0' || **text > '9') return false;
    errno = 0;
    *value = strtoull(*text, &rest, 10);
    if (errno || *rest != end || *value > limit) return false;
    *text = rest + 1;
    return true;
}

// Parses REUSEPORT_EXEC_ADOPT, which is `DESCRIPTOR:COOKIE:BACKLOG:LENGTH:PATH;` for each socket. The path is empty for
// Internet sockets.
static int parse(const char *text, struct inherited *sockets, int limit) {
    int count = 0;
    while (*text) {
        uint64_t fd, cookie, backlog, length;
        if (count == limit || !number(&text, ':', INT32_MAX, &fd) || !number(&text, ':', UINT64_MAX, &cookie) ||
            !number(&text, ':', INT32_MAX, &backlog) || !number(&text, ':', strlen(text), &length) ||
            strlen(text) <= length || text[length] != ';')
            return 0;
        struct inherited *socket = &sockets[count++];
        *socket = (struct inherited){.fd = (int)fd, .number = (int)fd, .cookie = cookie, .backlog = (int)backlog};
        // Copies the path, because programs that show a title in ps(1) overwrite their environment.
        if (length > 0 && !(socket->path = strndup(text, length))) return 0;
        socklen_t size = sizeof socket->name;
        struct stat status;
        if (adopt_is(socket->fd, socket) && adopt_own_name(socket->fd, &socket->name, &size) == 0 &&
            fstat(socket->fd, &status) == 0) {
            socket->type = adopt_option(socket->fd, SOL_SOCKET, SO_TYPE);
            socket->maker = status.st_uid;
        }
        text += length + 1;
    }
    return count;
}

__attribute__((constructor)) static void begin(void) {
    int saved = errno;
    adopt_find_all();
    const char *text = getenv("REUSEPORT_EXEC_ADOPT");
    // Does nothing in a launcher that the program starts: it binds for another program.
    if (!text || !strcmp(program_invocation_short_name, "reuseport-exec")) return;
    int limit = 0;
    for (const char *byte = text; *byte; byte++) limit += *byte == ';';
    adopt_sockets = calloc((size_t)limit + 1, sizeof *adopt_sockets);
    if (adopt_sockets) adopt_count = parse(text, adopt_sockets, limit);
    if (adopt_count > 0) adopt_see_forks();
    errno = saved;
}

int adopt_option(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, name, &value, &size) == 0 ? value : -1;
}

bool adopt_cookie(int fd, uint64_t *cookie) {
    socklen_t size = sizeof *cookie;
    return getsockopt(fd, SOL_SOCKET, ADOPT_SO_COOKIE, cookie, &size) == 0;
}

bool adopt_is(int fd, const struct inherited *socket) {
    uint64_t cookie;
    return fd >= 0 && adopt_cookie(fd, &cookie) && cookie == socket->cookie;
}

struct inherited *adopt_socket_at(int fd) {
    int saved = errno;
    struct inherited *found = NULL;
    for (int index = 0; index < adopt_count && !found; index++)
        if (adopt_is(fd, &adopt_sockets[index])) found = &adopt_sockets[index];
    errno = saved;
    return found;
}

void adopt_release(struct inherited *socket) {
    // Exactly one thread closes it, because another file may get the number right afterwards.
    int fd = __atomic_exchange_n(&socket->fd, -1, __ATOMIC_ACQ_REL);
    if (adopt_is(fd, socket)) adopt_close(fd);
    socket->kept_until = 0;
}
