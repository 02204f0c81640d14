// Lists the descriptors of this program and the registrations of its epoll instances. Calls neither malloc(3) nor
// cancellation points (pthreads(7)): a thread cancelled here would never release the lock.
#ifndef ADOPT_DESCRIPTORS_H
#define ADOPT_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "next.h"

// Calls `call` for each of this thread's descriptors until it returns false. Returns false then, or if some descriptors
// cannot be listed. Callbacks identify sockets with getsockopt(2), because fstat(2) may wait for a file system that
// does not respond.
bool adopt_each_descriptor(bool (*call)(int fd, void *context), void *context);

// Calls `call` for each registration of this socket in the epoll instances of this thread, with the instance, the
// number under which the socket was registered (another file may have it by now), and the registered event. Ends and
// returns like adopt_each_descriptor.
bool adopt_each_registration(
    int socket, bool (*call)(int epoll, int number, struct epoll_event *event, void *context), void *context);

// The original syscall(2), without this library.
__typeof__(&syscall) adopt_system_call(void);
#if defined __x86_64__ || defined __aarch64__
#define ADOPT_ENTERS_KERNEL
// Makes a system call that touches nothing of the calling thread, not even errno. Returns -errno if it fails.
ADOPT_BARE
long adopt_enter_kernel(long number, long a, long b, long c, long d, long e, long f);
#endif
// close(2) by system call: without this library, and without a cancellation point.
int adopt_close(int fd);
// dup3(2) by system call: without this library.
int adopt_replace(int old, int new, int flags);

#endif
