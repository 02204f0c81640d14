// Lets one thread at a time adopt.
#ifndef ADOPT_LOCK_H
#define ADOPT_LOCK_H

#include <signal.h>

// Neither changes errno. `signals` stores the signals that were blocked before.
void adopt_lock(sigset_t *signals);
void adopt_unlock(const sigset_t *signals);

#endif
