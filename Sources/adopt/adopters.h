// The descriptors with which this program has adopted sockets.
#ifndef ADOPT_ADOPTERS_H
#define ADOPT_ADOPTERS_H

#include "inherited.h"

enum { families_v4 = 1, families_v6 = 2 };

struct adopter {
    struct inherited *socket;
    // -1 if nobody is here.
    int fd;
    // The family of which the program expects addresses, if it is not that of the socket; otherwise 0.
    int other_family;
    // The families of which the program believes to have bound the port.
    int families;
    // Whether the program has said that others may bind as well.
    bool shares;
};

// The socket's next adopter behind this one, or the first, among those that are still open; null if there is none.
const struct adopter *adopt_adopter(const struct inherited *socket, const struct adopter *behind);
// With the lock held. If there are more than anybody has, one is forgotten.
void adopt_remember(const struct adopter *adopter);

// Whether there has been one whose family is not that of its socket.
extern bool adopt_is_crossed;
// The `other_family` of a descriptor; 0 also for what is no inherited socket.
int adopt_other_family(int fd);

#endif
