#include "lock.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "descriptors.h"

// The process whose thread holds the lock, or 0. A child that is not made by fork(3) may inherit a held lock, which no
// thread of it will release: it sees its parent's pid here, and takes the lock.
static int holder;

void adopt_lock(sigset_t *signals) {
    int saved = errno;
    sigset_t all;
    sigfillset(&all);
    // Blocks signals: a handler that binds would wait for the thread that it has interrupted.
    sigprocmask(SIG_SETMASK, &all, signals);
    adopt_take(getpid());
    errno = saved;
}

ADOPT_BARE void adopt_take(int own) {
    for (;;) {
        int seen = __atomic_load_n(&holder, __ATOMIC_RELAXED);
        if (seen != own &&
            __atomic_compare_exchange_n(&holder, &seen, own, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            return;
        adopt_pause(20000);
    }
}

ADOPT_BARE void adopt_pause(int64_t nanoseconds) {
    struct timespec time = {.tv_sec = nanoseconds / 1000000000, .tv_nsec = nanoseconds % 1000000000};
#ifdef ADOPT_ENTERS_KERNEL
    adopt_enter_kernel(SYS_nanosleep, (long)&time, 0, 0, 0, 0, 0);
#else
    adopt_system_call()(SYS_nanosleep, &time, NULL);
#endif
}

ADOPT_BARE void adopt_give(void) { __atomic_store_n(&holder, 0, __ATOMIC_RELEASE); }

void adopt_unlock(const sigset_t *signals) {
    int saved = errno;
    adopt_give();
    sigprocmask(SIG_SETMASK, signals, NULL);
    errno = saved;
}
