// Makes closefrom(3) and close_range(2) skip sockets that are not adopted yet: servers such as sshd close all unknown
// descriptors with them.
#include <errno.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "descriptors.h"
#include "inherited.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

// Returns the lowest descriptor not below `from` that must stay open, or -1.
static int first_kept(unsigned from) {
    int first = -1, saved = errno;
    for (int index = 0; index < adopt_count; index++) {
        int fd = adopt_sockets[index].fd;
        if (fd >= 0 && (unsigned)fd >= from && (first == -1 || fd < first) && adopt_is(fd, &adopt_sockets[index]))
            first = fd;
    }
    errno = saved;
    return first;
}

int close_range(unsigned, unsigned, int);
void closefrom(int);

static int close_all(unsigned from, unsigned to, int flags) {
    // Not every C library has close_range(2).
    __typeof__(&close_range) next = NEXT(close_range);
    return next ? next(from, to, flags) : (int)syscall(SYS_close_range, from, to, flags);
}

EXPORT int close_range(unsigned from, unsigned to, int flags) {
    int kept = from <= to ? first_kept(from) : -1;
    if (kept == -1 || (unsigned)kept > to) return close_all(from, to, flags);
    // Closes nothing, but checks the flags, and carries out CLOSE_RANGE_UNSHARE once.
    if (close_all(UINT_MAX, UINT_MAX, flags) == -1) return -1;
    do {
        if ((unsigned)kept > from && close_all(from, (unsigned)kept - 1, flags) == -1) return -1;
        from = (unsigned)kept + 1;
        kept = first_kept(from);
    } while (kept != -1 && (unsigned)kept <= to);
    return from <= to ? close_all(from, to, flags) : 0;
}

EXPORT void closefrom(int from) {
    int saved = errno;
    if (from < 0) from = 0;
    for (int kept; (kept = first_kept((unsigned)from)) != -1; from = kept + 1) {
        // Closes one by one where close_range(2) fails: Linux before 5.9.
        if (kept == from || close_all((unsigned)from, (unsigned)kept - 1, 0) == 0) continue;
        for (int fd = from; fd < kept; fd++) adopt_close(fd);
    }
    errno = saved;
    __typeof__(&closefrom) next = NEXT(closefrom);
    if (next) next(from);
    else close_all((unsigned)from, UINT_MAX, 0);
}
