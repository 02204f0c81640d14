// One at a time adopts.
#ifndef ADOPT_LOCK_H
#define ADOPT_LOCK_H

#include <signal.h>

// Both leave errno as it is. `signals` keeps the signals that were blocked before.
void adopt_lock(sigset_t *signals);
void adopt_unlock(const sigset_t *signals);

#endif
