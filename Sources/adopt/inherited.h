// The sockets that a program has inherited from reuseport-exec, and may adopt by binding to their addresses.
//
// --pass adopt loads this library into a program (LD_PRELOAD). It intercepts calls that take an address or a path, or
// close descriptors, but none that move data. _GNU_SOURCE is not set, because it changes the signature of bind(2);
// functions that need it are declared here.
#ifndef ADOPT_INHERITED_H
#define ADOPT_INHERITED_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "next.h"

struct inherited {
    // The launcher's descriptor; -1 once it is closed because the program has its own.
    int fd;
    // SO_COOKIE, which identifies the socket even if its descriptor's number is used again.
    uint64_t cookie;
    // The launcher's backlog, which is the least that the program gets.
    int backlog;
    // The number of the launcher's descriptor at the start.
    int number;
    // Whether the program has adopted it. Duplicates that the program makes are not tracked.
    bool is_adopted;
    // The time until which the launcher's descriptor is kept after the program has closed its own, in nanoseconds
    // (CLOCK_MONOTONIC); 0 if it is not.
    int64_t kept_until;
    // SOCK_STREAM or SOCK_DGRAM, and the user who has made it; 0 if this process did not inherit the descriptor.
    int type;
    uid_t maker;
    // The path for clients; null for Internet sockets.
    const char *path;
    // The address that it was bound to; all 0 if this process did not inherit the descriptor.
    union {
        struct sockaddr_storage name;
        struct sockaddr_un own;
    };
    // Always 0: ends `own` as a string.
    char end;
};

// In the order of the command line; none in a program that the launcher did not start.
extern struct inherited *adopt_sockets;
extern int adopt_count;

// Reads the SO_COOKIE of a descriptor; false if it is not a socket.
bool adopt_cookie(int fd, uint64_t *cookie);
// Whether the descriptor is this socket.
bool adopt_is(int fd, const struct inherited *socket);
// Finds the inherited socket that a descriptor is, or null.
struct inherited *adopt_socket_at(int fd);
// Closes the launcher's descriptor, when the program has its own.
void adopt_release(struct inherited *socket);
// Finds the inherited socket with this path, as seen from a directory, or null.
struct inherited *adopt_socket_of(int directory, const char *path);

// Reads an option; -1 if that fails. May change errno.
int adopt_option(int fd, int level, int name);
// The original getsockname(2), without this library.
int adopt_own_name(int fd, struct sockaddr_storage *address, socklen_t *size);

#define ADOPT_SO_COOKIE 57
int dup3(int, int, int);
extern char *program_invocation_short_name;

#endif
