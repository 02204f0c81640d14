// Closes kept sockets that the program does not bind again.
#ifndef ADOPT_SWEEP_H
#define ADOPT_SWEEP_H

#include "inherited.h"

#define adopt_second INT64_C(1000000000)

// CLOCK_MONOTONIC, in nanoseconds.
int64_t adopt_now(void);
// Closes the launcher's descriptor soon, or at once if no thread can be made. Needs the lock.
void adopt_close_later(struct inherited *socket);
// In a child of fork(2), which has not inherited the thread.
void adopt_forget_sweeper(void);

#endif
