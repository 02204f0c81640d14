// Copies the socket options that a program has set before bind(2) to the inherited socket.
#ifndef ADOPT_OPTIONS_H
#define ADOPT_OPTIONS_H

void adopt_copy_options(int from, int to);

#endif
