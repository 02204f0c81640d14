// Intercepts syscall(2), with which Node closes descriptors.
//
// The function has another name in C, because syscall(2) is declared as variadic. It passes on all possible arguments:
// those in registers as parameters, and the one on the stack by jumping to the next function. Passing that one as a
// parameter could rewrite it, and where a caller has fewer arguments, it is a variable that another thread may change.
#include <errno.h>
#include <sys/syscall.h>

#include "descriptors.h"
#include "keep.h"

#if defined __has_attribute && __has_attribute(musttail)
#define JUMP __attribute__((musttail))
#else
#define JUMP
#endif

// Takes no address of any variable: the compiler could not turn the call of the next function into a jump then.
static int closes(long number, long a, long b, long c) {
    if (number == SYS_close) return adopt_closes((int)a);
#ifdef SYS_dup2
    if (number == SYS_dup2) return adopt_replaces((int)a, (int)b, 0);
#endif
    return number == SYS_dup3 ? adopt_replaces((int)a, (int)b, (int)c) : adopt_none;
}

#ifdef __x86_64__
EXPORT long adopt_pass(long number, long a, long b, long c, long d, long e) __asm__("syscall");

long adopt_pass(long number, long a, long b, long c, long d, long e) {
    int result = closes(number, a, b, c);
    if (result != adopt_none) return result;
    JUMP return ((__typeof__(&adopt_pass))adopt_system_call())(number, a, b, c, d, e);
}

long adopt_enter_kernel(long number, long a, long b, long c, long d, long e, long f) {
    register long fourth __asm__("r10") = d, fifth __asm__("r8") = e, sixth __asm__("r9") = f;
    __asm__ volatile("syscall"
                     : "+a"(number)
                     : "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                     : "rcx", "r11", "cc", "memory");
    return number;
}
#elif defined __aarch64__
EXPORT long adopt_pass(long number, long a, long b, long c, long d, long e, long f) __asm__("syscall");

long adopt_pass(long number, long a, long b, long c, long d, long e, long f) {
    int result = closes(number, a, b, c);
    if (result != adopt_none) return result;
    JUMP return ((__typeof__(&adopt_pass))adopt_system_call())(number, a, b, c, d, e, f);
}

long adopt_enter_kernel(long number, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d, x4 __asm__("x4") = e, x5 __asm__("x5") = f;
    __asm__ volatile("svc 0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5) : "cc", "memory");
    return x0;
}
#endif

#ifdef ADOPT_ENTERS_KERNEL
// Makes a system call before the next function was looked up. An allocator such as jemalloc makes system calls before
// all constructors, and dlsym(3) allocates memory at its first call (glibc before 2.34), so the allocator would wait
// for itself.
static long early(long number, long a, long b, long c, long d, long e, long f) {
    long result = adopt_enter_kernel(number, a, b, c, d, e, f);
    if (result >= 0 || result < -4095) return result;
    errno = (int)-result;
    return -1;
}

__typeof__(&syscall) adopt_system_call(void) {
    return adopt_is_early(next_syscall) ? (__typeof__(&syscall))early : NEXT(syscall);
}
#else
__typeof__(&syscall) adopt_system_call(void) { return NEXT(syscall); }
#endif
