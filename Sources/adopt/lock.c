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
    int saved = errno, own = getpid();
    sigset_t all;
    sigfillset(&all);
    // Blocks signals: a handler that binds would wait for the thread that it has interrupted.
    sigprocmask(SIG_SETMASK, &all, signals);
    for (;;) {
        int seen = __atomic_load_n(&holder, __ATOMIC_RELAXED);
        if (seen != own &&
            __atomic_compare_exchange_n(&holder, &seen, own, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            break;
        // Sleeps, so that a holder of lower priority can run. Not a futex, because the lock is held for microseconds
        // and hardly ever contended. By system call, because nanosleep(3) is a cancellation point, and bind(2) is not.
        adopt_system_call()(SYS_nanosleep, &(struct timespec){.tv_nsec = 20000}, NULL);
    }
    errno = saved;
}

void adopt_unlock(const sigset_t *signals) {
    int saved = errno;
    __atomic_store_n(&holder, 0, __ATOMIC_RELEASE);
    sigprocmask(SIG_SETMASK, signals, NULL);
    errno = saved;
}
