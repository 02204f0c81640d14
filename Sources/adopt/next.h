// The functions that would have been called without us: those of another preload library, or of the C library.
#ifndef ADOPT_NEXT_H
#define ADOPT_NEXT_H

#include <stdbool.h>

#define ADOPT_EACH(call) \
    call(accept) call(accept4) call(bind) call(chmod) call(chown) call(close) call(close_range) call(closefrom) \
    call(dup2) call(dup3) call(fchmodat) call(fchownat) call(getpeername) call(getsockname) call(lchown) \
    call(listen) call(remove) call(syscall) call(unlink) call(unlinkat)

#define ADOPT_NUMBER(name) next_##name,
enum adopt_number { ADOPT_EACH(ADOPT_NUMBER) next_end };

// Null for what there is not: not every C library has closefrom(3).
void *adopt_next(enum adopt_number number);
// Whether that would have to look for it. The C library's function can be had by a system call instead.
bool adopt_is_early(enum adopt_number number);
// Looks for all of them, as soon as can be. dlsym(3) is not for later: it forgets what dlerror(3) is to tell, waits for
// a thread that loads a library, may allocate memory, and so is nothing for signal handlers and children of vfork(2).
void adopt_find_all(void);

#define NEXT(name) ((__typeof__(&name))adopt_next(next_##name))
#define EXPORT __attribute__((visibility("default")))

#endif
