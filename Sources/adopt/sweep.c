// A thread that lives only while a socket is kept. The program may be in one system call for as long as it likes, and
// clients must not wait for a program that has stopped to accept.
//
// It is a thread of the kernel only, without libpthread, which would allocate memory, and which close(2) in a signal
// handler must not call. So it uses nothing that belongs to a thread of the C library: no errno, no stack protector.
#include "sweep.h"

#include <linux/sched.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "descriptors.h"
#include "lock.h"

// Long enough for programs that read their configuration between close(2) and bind(2).
enum { seconds_kept = 2 };

int64_t adopt_now(void) {
    struct timespec time = {0};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * adopt_second + time.tv_nsec;
}

#ifdef ADOPT_ENTERS_KERNEL
// The thread's id until it has ended (CLONE_CHILD_CLEARTID).
static int sweeper;
// Whether the thread will look again. Protected by the lock.
static bool sweeps;
static _Alignas(64) char stack[16384];

int clone(int (*)(void *), void *, int, void *, ...);

// adopt_release without errno.
ADOPT_BARE static void release(struct inherited *socket) {
    int fd = __atomic_exchange_n(&socket->fd, -1, __ATOMIC_ACQ_REL);
    uint64_t cookie;
    socklen_t size = sizeof cookie;
    long result =
        adopt_enter_kernel(SYS_getsockopt, fd, SOL_SOCKET, ADOPT_SO_COOKIE, (long)&cookie, (long)&size, 0);
    if (result == 0 && cookie == socket->cookie) adopt_enter_kernel(SYS_close, fd, 0, 0, 0, 0, 0);
    socket->kept_until = 0;
}

// Closes what is due. Returns the time until the next is due; 0 if there is none.
ADOPT_BARE static int64_t sweep_once(int own) {
    struct timespec time;
    int64_t next = 0;
    adopt_take(own);
    adopt_enter_kernel(SYS_clock_gettime, CLOCK_MONOTONIC, (long)&time, 0, 0, 0, 0);
    for (int index = 0; index < adopt_count; index++) {
        struct inherited *socket = &adopt_sockets[index];
        int64_t left = socket->kept_until - (time.tv_sec * adopt_second + time.tv_nsec);
        if (!socket->kept_until) continue;
        if (left <= 0) release(socket);
        else if (!next || left < next) next = left;
    }
    sweeps = next;
    adopt_give();
    return next;
}

ADOPT_BARE static int sweep(void *own) {
    for (int64_t next; (next = sweep_once((int)(intptr_t)own));) adopt_pause(next);
    return 0;
}

static bool start_sweeper(void) {
    if (sweeps) return true;
    // The last thread uses the stack until it has ended.
    while (__atomic_load_n(&sweeper, __ATOMIC_ACQUIRE)) adopt_pause(20000);
    sweeper = 1;
    // Inherits that all signals are blocked from the holder of the lock.
    sweeps = clone(
                 sweep, stack + sizeof stack,
                 CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
                     CLONE_CHILD_CLEARTID,
                 (void *)(intptr_t)getpid(), NULL, NULL, &sweeper) != -1;
    if (!sweeps) sweeper = 0;
    return sweeps;
}

void adopt_forget_sweeper(void) {
    sweeper = 0;
    sweeps = false;
}
#else
static bool start_sweeper(void) { return false; }

void adopt_forget_sweeper(void) {}
#endif

void adopt_close_later(struct inherited *socket) {
    socket->kept_until = adopt_now() + seconds_kept * adopt_second;
    if (!start_sweeper()) adopt_release(socket);
}
