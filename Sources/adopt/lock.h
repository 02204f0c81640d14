// Lets one thread at a time adopt.
#ifndef ADOPT_LOCK_H
#define ADOPT_LOCK_H

#include <signal.h>
#include <stdint.h>

// Neither changes errno. `signals` stores the signals that were blocked before.
void adopt_lock(sigset_t *signals);
void adopt_unlock(const sigset_t *signals);

// The same for a thread that has all signals blocked, in this process.
void adopt_take(int own);
void adopt_give(void);
// Sleeps, so that a holder of lower priority can run. Not a futex, because the lock is held for microseconds and hardly
// ever contended. By system call, because nanosleep(3) is a cancellation point, and bind(2) is not.
void adopt_pause(int64_t nanoseconds);

#endif
