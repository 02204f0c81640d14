// Programs remove a Unix socket's path before they bind and when they end, and change its mode. An inherited socket has
// its path from the launcher, and with --app only when its generation takes over: until then, and again later, the path
// is another generation's. So for such a path nothing is removed, and what is changed is the own socket's.
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "inherited.h"

static const char *name_in(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// stat(2) of the directory in which the last part of a path is.
static bool stat_folder(int directory, const char *path, struct stat *facts) {
    char folder[PATH_MAX] = ".";
    size_t length = (size_t)(name_in(path) - path);
    if (length >= sizeof folder) return false;
    if (length > 0) {
        memcpy(folder, path, length);
        folder[length] = 0;
    }
    return fstatat(directory, folder, facts, 0) == 0;
}

// Whether a path, seen from a directory, is this name of ours.
static bool is_name(const char *ours, int directory, const char *path) {
    // Nothing else is done for all the files that are merely called something else.
    if (!*ours || strcmp(name_in(ours), name_in(path))) return false;
    struct stat here, there;
    return !strcmp(ours, path) || (stat_folder(directory, path, &here) && stat_folder(AT_FDCWD, ours, &there) &&
                                   here.st_dev == there.st_dev && here.st_ino == there.st_ino);
}

// Not inlined: the compiler would believe that paths are never null, as the C library's headers say.
__attribute__((noinline)) struct inherited *adopt_socket_of(int directory, const char *path) {
    int saved = errno;
    struct inherited *found = NULL;
    for (int index = 0; index < adopt_count && !found && path; index++) {
        struct inherited *socket = &adopt_sockets[index];
        // The program may know the one from its configuration, and the other from us.
        if (socket->path &&
            (is_name(socket->path, directory, path) || is_name(socket->own.sun_path, directory, path)))
            found = socket;
    }
    errno = saved;
    return found;
}

EXPORT int unlink(const char *path) { return adopt_socket_of(AT_FDCWD, path) ? 0 : NEXT(unlink)(path); }

EXPORT int unlinkat(int directory, const char *path, int flags) {
    return adopt_socket_of(directory, path) ? 0 : NEXT(unlinkat)(directory, path, flags);
}

EXPORT int remove(const char *path) { return adopt_socket_of(AT_FDCWD, path) ? 0 : NEXT(remove)(path); }

// Whether it could be changed or not, the program goes on: mode and owner are what --socket says.
static int change_mode(const struct inherited *socket, mode_t mode) {
    int saved = errno;
    NEXT(fchmodat)(AT_FDCWD, socket->own.sun_path, mode, 0);
    errno = saved;
    return 0;
}

static int change_owner(const struct inherited *socket, uid_t user, gid_t group) {
    int saved = errno;
    NEXT(fchownat)(AT_FDCWD, socket->own.sun_path, user, group, AT_SYMLINK_NOFOLLOW);
    errno = saved;
    return 0;
}

EXPORT int chmod(const char *path, mode_t mode) {
    struct inherited *socket = adopt_socket_of(AT_FDCWD, path);
    return socket ? change_mode(socket, mode) : NEXT(chmod)(path, mode);
}

EXPORT int fchmodat(int directory, const char *path, mode_t mode, int flags) {
    struct inherited *socket = adopt_socket_of(directory, path);
    return socket ? change_mode(socket, mode) : NEXT(fchmodat)(directory, path, mode, flags);
}

EXPORT int chown(const char *path, uid_t user, gid_t group) {
    struct inherited *socket = adopt_socket_of(AT_FDCWD, path);
    return socket ? change_owner(socket, user, group) : NEXT(chown)(path, user, group);
}

EXPORT int lchown(const char *path, uid_t user, gid_t group) {
    struct inherited *socket = adopt_socket_of(AT_FDCWD, path);
    return socket ? change_owner(socket, user, group) : NEXT(lchown)(path, user, group);
}

EXPORT int fchownat(int directory, const char *path, uid_t user, gid_t group, int flags) {
    struct inherited *socket = adopt_socket_of(directory, path);
    return socket ? change_owner(socket, user, group) : NEXT(fchownat)(directory, path, user, group, flags);
}
