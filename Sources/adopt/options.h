// Socket options that a program has set before it binds.
#ifndef ADOPT_OPTIONS_H
#define ADOPT_OPTIONS_H

void adopt_copy_options(int from, int to);

#endif
