// closefrom(3), by which servers like sshd close what they have not opened, spares what they have not adopted yet.
#include <errno.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "inherited.h"

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

static void *next_closefrom;

// The first descriptor from this one on that is to be spared, or -1.
static int first_kept(int from) {
    int first = -1;
    for (int index = 0; index < adopt_count; index++) {
        int fd = adopt_sockets[index].fd;
        if (fd >= from && (first == -1 || fd < first) && adopt_is(fd, &adopt_sockets[index])) first = fd;
    }
    return first;
}

void closefrom(int);
EXPORT void closefrom(int from) {
    int saved = errno;
    if (from < 0) from = 0;
    for (int kept; (kept = first_kept(from)) != -1; from = kept + 1) {
        // Linux 5.9.
        if (kept == from || syscall(SYS_close_range, from, kept - 1, 0) == 0) continue;
        for (int fd = from; fd < kept; fd++) close(fd);
    }
    errno = saved;
    NEXT(closefrom)(from);
}
