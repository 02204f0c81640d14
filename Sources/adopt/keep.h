// Gives a program its socket again if it closes it and binds again, as those do that look for a free port, or that read
// their configuration again.
#ifndef ADOPT_KEEP_H
#define ADOPT_KEEP_H

#include "inherited.h"

// Keeps sockets that this process closes from now on. Called when one is complete: at listen(2), and for datagrams at
// bind(2). Needs the lock.
void adopt_keep(void);
// Whether sockets are kept for this process: it has listened, and not only inherited from one that has.
bool adopt_is_kept_for(void);

// Closes a descriptor for the program, or replaces it as dup3(2) does, if it is a kept socket. Returns the result, or
// `adopt_none` if the caller has to do it.
int adopt_closes(int fd);
int adopt_replaces(int old, int new, int flags);

enum { adopt_none = -2 };

// Begins to intercept fork(2). Called if there are inherited sockets.
void adopt_see_forks(void);

#endif
