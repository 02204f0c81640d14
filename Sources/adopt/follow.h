// Carries duplicates and epoll registrations of the program's own socket over to the inherited one.
#ifndef ADOPT_FOLLOW_H
#define ADOPT_FOLLOW_H

#include "adopters.h"

// Replaces all other descriptors of the old socket by the inherited one, and registers that with the epoll instances
// that have the old one. Needs the lock. The adopter's descriptor already is the inherited socket, and `old` is a
// duplicate of the old one, which its caller closes afterwards. Does what it can: without /proc, or without free
// descriptors, only the descriptor that the program has bound is replaced, which suffices for most.
void adopt_follow(const struct adopter *adopter, int old);

#endif
