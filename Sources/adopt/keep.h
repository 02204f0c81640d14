// A program that listens, closes and listens again, as those do that look for a free port, gets its socket again.
#ifndef ADOPT_KEEP_H
#define ADOPT_KEEP_H

#include "inherited.h"

// With the lock held, when the program listens on the adopted socket: for some seconds it is not lost by close(2).
void adopt_keep(struct inherited *socket);

// When the program closes a descriptor, or has another one take its place as by dup3(2): what that answers, or
// `adopt_none` if it is not done yet.
int adopt_closes(int fd);
int adopt_replaces(int old, int new, int flags);

enum { adopt_none = -2 };

// As soon as there is something to be adopted.
void adopt_see_forks(void);

#endif
