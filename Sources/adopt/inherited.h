// The sockets that a program has inherited from reuseport-exec, and may adopt by binding to their addresses.
//
// A program is loaded with this library by --pass adopt (LD_PRELOAD). Only calls that name an address or a path, or
// close a range of descriptors, are looked at: those that move data are not. _GNU_SOURCE is not set, for it changes the
// signature of bind(2); what would need it is declared here.
#ifndef ADOPT_INHERITED_H
#define ADOPT_INHERITED_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "next.h"

struct inherited {
    // Where the launcher has put it; -1 once the program has it, so that closing it there closes it.
    int fd;
    // The kernel's own number of the socket (SO_COOKIE): a descriptor that is something else by now is never ours.
    uint64_t cookie;
    // What the launcher listens with. A program that asks for less does not get less.
    int backlog;
    // Where the launcher has put it first.
    int number;
    // Whether the program has adopted it. Nothing is known of copies that it has made since.
    bool is_adopted;
    // Until when it is kept if the program closes it, in nanoseconds (CLOCK_MONOTONIC); 0 if it is closed then.
    int64_t kept_until;
    // 0 for Unix sockets, and in programs to which it did not come.
    in_port_t port;
    // The path under which clients find it; null for Internet sockets.
    const char *path;
    // The name that it was bound to, also when it is closed; empty in programs to which it did not come.
    struct sockaddr_un own;
    // Always 0.
    char end;
};

// In the order of the command line; none in a program that was not started by us.
extern struct inherited *adopt_sockets;
extern int adopt_count;

// The kernel's own number of the socket that the descriptor is; false if it is none.
bool adopt_cookie(int fd, uint64_t *cookie);
// Whether the descriptor is this very socket.
bool adopt_is(int fd, const struct inherited *socket);
// The inherited socket that the descriptor is, or null.
struct inherited *adopt_socket_at(int fd);
// Closes the launcher's descriptor, because the program has one of its own.
void adopt_release(struct inherited *socket);
// The inherited socket of this path, seen from a directory, or null.
struct inherited *adopt_socket_of(int directory, const char *path);

// An option's value, or -1; errno may be another one afterwards.
int adopt_option(int fd, int level, int name);
// getsockname(2) without us.
int adopt_own_name(int fd, struct sockaddr_storage *address, socklen_t *size);

#define ADOPT_SO_COOKIE 57
int dup3(int, int, int);
extern char *program_invocation_short_name;

#endif
