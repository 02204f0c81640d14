// Lists the descriptors with which this program has adopted sockets.
#ifndef ADOPT_ADOPTERS_H
#define ADOPT_ADOPTERS_H

#include "inherited.h"

enum { families_v4 = 1, families_v6 = 2 };

struct adopter {
    struct inherited *socket;
    // -1 if the entry is unused.
    int fd;
    // The family that the program expects in addresses, if it is not the socket's; otherwise 0.
    int other_family;
    // The families of the address that the program has bound.
    int families;
    // Whether the program has set SO_REUSEPORT.
    bool shares;
};

// Returns the socket's next open adopter after this one (the first after null); null if there is none.
const struct adopter *adopt_adopter(const struct inherited *socket, const struct adopter *behind);
// Adds an adopter. Needs the lock. Does nothing if the list is full.
void adopt_remember(const struct adopter *adopter);
// Adds a duplicate that the program has made of a socket that it has adopted. Needs the lock.
void adopt_remember_duplicate(int fd, const struct inherited *socket);
// Whether a descriptor of this number is in the list. Makes no system call.
bool adopt_is_listed(int fd);

// Whether any adopter expects another family than its socket's.
extern bool adopt_is_crossed;
// Returns the `other_family` of a descriptor; 0 if it is not an inherited socket.
int adopt_other_family(int fd);

#endif
