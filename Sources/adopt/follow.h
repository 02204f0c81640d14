// What knew the program's own socket knows the inherited one that has taken its place.
#ifndef ADOPT_FOLLOW_H
#define ADOPT_FOLLOW_H

#include "adopters.h"

// With the lock held, when the adopter's descriptor has become the inherited socket, and `old` is a copy of what it
// was: other descriptors of the program that are the old one become the new one as well, and what epoll instances wait
// for at the old one they wait for at the new one. The copy keeps the old one alive; closing it ends what is left.
// What cannot be done, for /proc is not mounted or there are no descriptors left, stays undone: the program has what it
// has asked for, and most have neither.
void adopt_follow(const struct adopter *adopter, int old);

#endif
