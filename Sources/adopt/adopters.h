// The descriptors with which this program has adopted sockets.
#ifndef ADOPT_ADOPTERS_H
#define ADOPT_ADOPTERS_H

#include "inherited.h"

enum { families_v4 = 1, families_v6 = 2 };

struct adopter {
    struct inherited *socket;
    // -1 if nobody is here.
    int fd;
    // The family of what the program had before, and believes to have; the socket's own may be another.
    int domain;
    // The families of which the program believes to have bound the port.
    int families;
    // Whether the program has said that others may bind as well.
    bool shares;
};

// The socket's next adopter behind this one, or the first, among those that are still open; null if there is none.
const struct adopter *adopt_adopter(const struct inherited *socket, const struct adopter *behind);
// With the lock held. If there are more than anybody has, one is forgotten.
void adopt_remember(const struct adopter *adopter);

// Whether any adopter's family is not that of its socket.
extern bool adopt_crossed;
// The family that the program believes such a listener to have; 0 for what is no inherited socket.
int adopt_domain(int fd);

#endif
