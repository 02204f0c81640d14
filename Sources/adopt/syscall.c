// syscall(2), by which Node closes.
//
// Not defined by its name, which is that of a function with any number of arguments. All that there can be are handed
// on: those in registers by name, and one on the stack by leaving it alone, and jumping to the next function. For most
// callers it is none, but some variable of theirs: written back, it could undo what another thread has just written.
#include <sys/syscall.h>

#include "descriptors.h"
#include "keep.h"

#if defined __has_attribute && __has_attribute(musttail)
#define JUMP __attribute__((musttail))
#else
#define JUMP
#endif

#ifdef __x86_64__
EXPORT long adopt_pass(long number, long a, long b, long c, long d, long e) __asm__("syscall");

long adopt_pass(long number, long a, long b, long c, long d, long e) {
    if (number == SYS_close) adopt_closes((int)a);
    JUMP return ((__typeof__(&adopt_pass))adopt_system_call())(number, a, b, c, d, e);
}
#elif defined __aarch64__
EXPORT long adopt_pass(long number, long a, long b, long c, long d, long e, long f) __asm__("syscall");

long adopt_pass(long number, long a, long b, long c, long d, long e, long f) {
    if (number == SYS_close) adopt_closes((int)a);
    JUMP return ((__typeof__(&adopt_pass))adopt_system_call())(number, a, b, c, d, e, f);
}
#endif
