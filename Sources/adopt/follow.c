#include "follow.h"

#include <fcntl.h>
#include <unistd.h>

#include "descriptors.h"

struct change {
    const struct adopter *adopter;
    uint64_t cookie;
    int old;
};

static bool replace(int fd, void *context) {
    const struct change *change = context;
    uint64_t cookie;
    if (fd == change->old || !adopt_cookie(fd, &cookie) || cookie != change->cookie) return true;
    struct adopter adopter = *change->adopter;
    adopter.fd = fd;
    int flags = fcntl(fd, F_GETFD);
    if (flags != -1 && adopt_replace(change->adopter->fd, fd, flags & FD_CLOEXEC ? O_CLOEXEC : 0) != -1)
        adopt_remember(&adopter);
    return true;
}

static bool wait_here(int epoll, int number, struct epoll_event *event, void *context) {
    const struct change *change = context;
    // Skips numbers that the program has closed, and another file may have by now.
    if (adopt_is(number, change->adopter->socket)) epoll_ctl(epoll, EPOLL_CTL_ADD, number, event);
    return true;
}

void adopt_follow(const struct adopter *adopter, int old) {
    struct change change = {.adopter = adopter, .old = old};
    if (!adopt_cookie(old, &change.cookie)) return;
    // Descriptors first, because any of them may have been registered.
    adopt_each_descriptor(replace, &change);
    adopt_each_registration(old, wait_here, &change);
}
