// Protects the paths of inherited Unix sockets. Programs remove a path before bind(2) and at their end, and change its
// mode and owner. With --app, the path may lead to the socket of another generation at that time. So removing does
// nothing, and changes apply to the inherited socket.
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

// stat(2) of the directory that contains a path.
static bool stat_folder(int directory, const char *path, struct stat *status) {
    char folder[PATH_MAX] = ".";
    size_t length = (size_t)(name_in(path) - path);
    if (length >= sizeof folder) return false;
    if (length > 0) {
        memcpy(folder, path, length);
        folder[length] = 0;
    }
    return fstatat(directory, folder, status, 0) == 0;
}

// Whether a path, as seen from a directory, is the path `ours`.
static bool is_name(const char *ours, int directory, const char *path) {
    // Decides by the file name first, because most calls are for other files.
    if (!*ours || strcmp(name_in(ours), name_in(path))) return false;
    struct stat here, there;
    return !strcmp(ours, path) || (stat_folder(directory, path, &here) && stat_folder(AT_FDCWD, ours, &there) &&
                                   here.st_dev == there.st_dev && here.st_ino == there.st_ino);
}

// Not inlined: from the C library's headers the compiler would conclude that paths are never null.
__attribute__((noinline)) struct inherited *adopt_socket_of(int directory, const char *path) {
    int saved = errno;
    struct inherited *found = NULL;
    for (int index = 0; index < adopt_count && !found && path; index++) {
        struct inherited *socket = &adopt_sockets[index];
        // The program may know the path from its configuration, or the bound name from the socket.
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

// Ignores failures, because --socket sets mode and owner.
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
