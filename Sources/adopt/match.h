// Which inherited socket a program means when it binds.
#ifndef ADOPT_MATCH_H
#define ADOPT_MATCH_H

#include "inherited.h"

// The one that the program's descriptor is to become; null if that is the kernel's business.
struct inherited *adopt_match(int fd, const struct sockaddr_storage *raw, socklen_t size);
// A descriptor from which the socket can be had: the launcher's, or one with which the program has adopted it.
int adopt_source(const struct inherited *socket);

#endif
