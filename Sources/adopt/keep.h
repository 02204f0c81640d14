// Gives a program its socket again if it listens, closes and listens again, as those do that look for a free port.
#ifndef ADOPT_KEEP_H
#define ADOPT_KEEP_H

#include "inherited.h"

// Keeps an adopted socket for some seconds, even if the program closes it. Called at listen(2). Needs the lock.
void adopt_keep(struct inherited *socket);

// Closes a descriptor for the program, or replaces it as dup3(2) does, if it is a kept socket. Returns the result, or
// `adopt_none` if the caller has to do it.
int adopt_closes(int fd);
int adopt_replaces(int old, int new, int flags);

enum { adopt_none = -2 };

// Begins to intercept fork(2). Called if there are inherited sockets.
void adopt_see_forks(void);

#endif
