// What descriptors a program has, and what its epoll instances wait for. Without malloc(3), and without cancellation
// points (pthreads(7)): a thread that were cancelled here would never give back the lock.
#ifndef ADOPT_DESCRIPTORS_H
#define ADOPT_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

// Calls back for each of this thread's descriptors until that answers false. False if they, or some, cannot be seen.
// What they are is asked by getsockopt(2): fstat(2) would wait for file systems, of which some do not answer.
bool adopt_each_descriptor(bool (*call)(int fd, void *context), void *context);

// Calls back for each registration of this socket that any of this thread's epoll instances has, with the descriptor of
// the instance, the number under which the file was registered, which may be something else by now, and the event as it
// was registered. Ends, and what it answers, as above.
bool adopt_each_registration(
    int socket, bool (*call)(int epoll, int number, struct epoll_event *event, void *context), void *context);

// syscall(2) without us.
__typeof__(&syscall) adopt_system_call(void);
// close(2) without us, and without a cancellation point.
int adopt_close(int fd);
// dup3(2) without us.
int adopt_replace(int old, int new, int flags);

#endif
