// A program that listens, closes and listens again, as those do that look for a free port, gets its socket again.
#ifndef ADOPT_KEEP_H
#define ADOPT_KEEP_H

#include "inherited.h"

// With the lock held, when the program listens on the adopted socket: for some seconds it is not lost by close(2).
void adopt_keep(struct inherited *socket);

// When the program is about to close this descriptor. Leaves errno as it is.
void adopt_closes(int fd);

#endif
