// Finds the functions that this library replaces: those of another preloaded library, or of the C library.
#ifndef ADOPT_NEXT_H
#define ADOPT_NEXT_H

#include <stdbool.h>

#define ADOPT_EACH(call) \
    call(accept) call(accept4) call(bind) call(chmod) call(chown) call(close) call(close_range) call(closefrom) \
    call(connect) call(dup2) call(dup3) call(fchmodat) call(fchownat) call(getpeername) call(getsockname) call(lchown) \
    call(listen) call(remove) call(syscall) call(unlink) call(unlinkat)

#define ADOPT_NUMBER(name) next_##name,
enum adopt_number { ADOPT_EACH(ADOPT_NUMBER) next_end };

// Returns the function; null if there is none: not every C library has closefrom(3).
void *adopt_next(enum adopt_number number);
// Whether the function was not looked up yet. Callers may make the system call themselves then.
bool adopt_is_early(enum adopt_number number);
// Looks up all functions early. Later, dlsym(3) could lose the program's dlerror(3), wait for a thread that is loading
// a library, or allocate memory, which signal handlers and children of vfork(2) must not do.
void adopt_find_all(void);

#define NEXT(name) ((__typeof__(&name))adopt_next(next_##name))
#define EXPORT __attribute__((visibility("default")))
// For a function that is called without a thread of the C library: a stack protector would read from that.
#if defined __has_attribute && __has_attribute(no_stack_protector)
#define ADOPT_BARE __attribute__((no_stack_protector))
#else
#define ADOPT_BARE
#endif

#endif
