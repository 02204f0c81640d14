#include "next.h"

#include <dlfcn.h>
#include <stddef.h>

// dlfcn.h defines it under _GNU_SOURCE only.
#ifndef RTLD_NEXT
#define RTLD_NEXT ((void *)-1L)
#endif

#define NAME(name) #name,
static const char names[][12] = {ADOPT_EACH(NAME)};
// Null before the first lookup; the address of `missing` if there is no such function, so that it is not looked up
// again.
static void *functions[next_end];
static char missing;

static void *find(enum adopt_number number) {
    void *function = dlsym(RTLD_NEXT, names[number]);
    __atomic_store_n(&functions[number], function ? function : &missing, __ATOMIC_RELEASE);
    return function;
}

void *adopt_next(enum adopt_number number) {
    void *function = __atomic_load_n(&functions[number], __ATOMIC_ACQUIRE);
    // Not looked up yet: constructors of the program's libraries run before this library's.
    if (!function) return find(number);
    return function == &missing ? NULL : function;
}

bool adopt_is_early(enum adopt_number number) { return !__atomic_load_n(&functions[number], __ATOMIC_ACQUIRE); }

void adopt_find_all(void) {
    for (int number = 0; number < next_end; number++)
        if (adopt_is_early(number)) find(number);
    // Clears the error of missing functions, which is none of the program's.
    dlerror();
}
