#include "descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inherited.h"

// struct linux_dirent64 of getdents64(2).
struct entry {
    uint64_t inode;
    int64_t next;
    unsigned short length;
    unsigned char type;
    char name[];
};

int adopt_close(int fd) { return (int)adopt_system_call()(SYS_close, fd); }

int adopt_replace(int old, int new, int flags) { return (int)adopt_system_call()(SYS_dup3, old, new, flags); }

static int open_at(int directory, const char *path, int flags) {
    return (int)adopt_system_call()(SYS_openat, directory, path, flags | O_RDONLY | O_CLOEXEC, 0);
}

bool adopt_each_descriptor(bool (*call)(int, void *), void *context) {
    // A thread may have its own descriptors (CLONE_FILES).
    int directory = open_at(AT_FDCWD, "/proc/thread-self/fd", O_DIRECTORY);
    _Alignas(struct entry) char buffer[2048];
    long size = -1;
    bool goes_on = directory != -1;
    while (goes_on && (size = adopt_system_call()(SYS_getdents64, directory, buffer, sizeof buffer)) > 0)
        for (long at = 0; goes_on && at < size;) {
            const struct entry *entry = (const void *)(buffer + at);
            at += entry->length;
            int fd = *entry->name == '.' ? directory : atoi(entry->name);
            if (fd != directory) goes_on = call(fd, context);
        }
    if (directory != -1) adopt_close(directory);
    return goes_on && size == 0;
}

struct search {
    ino_t inode;
    bool (*call)(int, int, struct epoll_event *, void *);
    void *context;
};

// Reads the number after a word of the line; false if the word is missing.
static bool field(const char *line, const char *word, int base, uint64_t *value) {
    const char *found = strstr(line, word);
    if (found) *value = strtoull(found + strlen(word), NULL, base);
    return found;
}

// Parses `tfd: 5 events: 19 data: 5  pos:0 ino:1a2b sdev:8` of proc_pid_fdinfo(5).
static bool read_line(int epoll, const char *line, const struct search *search) {
    uint64_t number, events, data, inode;
    if (!field(line, "tfd:", 10, &number) || !field(line, " events:", 16, &events) ||
        !field(line, " data:", 16, &data) || !field(line, " ino:", 16, &inode) || inode != search->inode)
        return true;
    struct epoll_event event = {.events = (uint32_t)events, .data.u64 = data};
    return search->call(epoll, (int)number, &event, search->context);
}

static void name_info(int fd, const char *prefix, char *path) {
    char digits[12], *digit = digits + sizeof digits;
    *--digit = 0;
    do *--digit = (char)('0' + fd % 10);
    while (fd /= 10);
    strcpy(path, prefix);
    strcat(path, digit);
}

static bool read_instance(int fd, void *context) {
    static const char is_epoll[] = "anon_inode:[eventpoll]";
    char path[64], target[sizeof is_epoll], line[256], buffer[1024];
    uint64_t cookie;
    if (adopt_cookie(fd, &cookie)) return true;
    name_info(fd, "/proc/thread-self/fd/", path);
    if (readlink(path, target, sizeof target) != sizeof is_epoll - 1 || memcmp(target, is_epoll, sizeof is_epoll - 1))
        return true;
    name_info(fd, "/proc/thread-self/fdinfo/", path);
    int file = open_at(AT_FDCWD, path, 0);
    if (file == -1) return false;
    // The callback may change registrations, because the kernel lists them all at the first read.
    bool goes_on = true;
    long size;
    size_t length = 0;
    while ((size = adopt_system_call()(SYS_read, file, buffer, sizeof buffer)) > 0)
        for (long at = 0; goes_on && at < size; at++) {
            if (buffer[at] != '\n') {
                if (length < sizeof line - 1) line[length++] = buffer[at];
                continue;
            }
            line[length] = 0;
            length = 0;
            goes_on = read_line(fd, line, context);
        }
    adopt_close(file);
    return goes_on && size == 0;
}

bool adopt_each_registration(
    int socket, bool (*call)(int, int, struct epoll_event *, void *), void *context) {
    struct stat status;
    if (fstat(socket, &status) == -1) return false;
    struct search search = {.inode = status.st_ino, .call = call, .context = context};
    return adopt_each_descriptor(read_instance, &search);
}
