// Finds the inherited socket that a program means when it binds.
#ifndef ADOPT_MATCH_H
#define ADOPT_MATCH_H

#include "inherited.h"

// Returns the socket that the program's descriptor should become; null if none fits.
struct inherited *adopt_match(int fd, const struct sockaddr_storage *raw, socklen_t size);
// Returns the socket with the address that the program asks for, although nothing is left of it; null if none fits.
struct inherited *adopt_lost(int fd, const struct sockaddr_storage *raw, socklen_t size);
// Returns a descriptor of the socket that can be duplicated: the launcher's, or an adopter's; -1 if there is none.
int adopt_source(const struct inherited *socket);

#endif
