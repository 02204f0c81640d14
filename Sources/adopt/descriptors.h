// What descriptors a program has, and what its epoll instances wait for. Without malloc(3), and without cancellation
// points (pthreads(7)): a thread that were cancelled here would never give back the lock.
#ifndef ADOPT_DESCRIPTORS_H
#define ADOPT_DESCRIPTORS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>
#include <unistd.h>

// What a descriptor is: `socket:[INODE]`, `anon_inode:[eventpoll]` or the beginning of a path, as its link in /proc
// says. That is the kernel's own knowledge; a file system that is asked, as by fstat(2), may never answer. False if
// there is none.
enum { adopt_name_size = 32 };
bool adopt_name(int fd, char name[adopt_name_size]);
bool adopt_is_socket(const char *name);

// Calls back for each of this thread's descriptors until that answers false. False if they, or some, cannot be seen.
bool adopt_each_descriptor(bool (*call)(int fd, const char *name, void *context), void *context);

// Calls back for each registration of this socket that any of this thread's epoll instances has, with the descriptor of
// the instance, the number under which the file was registered, which may be something else by now, and the event as it
// was registered. Ends, and what it answers, as above.
bool adopt_each_registration(
    const char *socket, bool (*call)(int epoll, int number, struct epoll_event *event, void *context), void *context);

// syscall(2) without us.
__typeof__(&syscall) adopt_system_call(void);
// close(2) without us, and without a cancellation point.
int adopt_close(int fd);
// dup3(2) without us.
int adopt_replace(int old, int new, int flags);

#endif
