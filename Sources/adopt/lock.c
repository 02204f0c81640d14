#include "lock.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "descriptors.h"

// The process of which a thread has the lock, or 0. A child that is made meanwhile, but not by fork(3), has a copy of
// it that nobody will ever give back: it knows by the number that it can have the lock.
static int holder;

void adopt_lock(sigset_t *signals) {
    int saved = errno, own = getpid();
    sigset_t all;
    sigfillset(&all);
    // A signal handler that binds would wait for the thread that it has interrupted.
    sigprocmask(SIG_SETMASK, &all, signals);
    for (;;) {
        int seen = __atomic_load_n(&holder, __ATOMIC_RELAXED);
        if (seen != own &&
            __atomic_compare_exchange_n(&holder, &seen, own, false, __ATOMIC_ACQUIRE, __ATOMIC_RELAXED))
            break;
        // It takes some microseconds; to sleep lets a thread of lower priority come to its end. Not by nanosleep(3), a
        // cancellation point, which bind(2) is not.
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
