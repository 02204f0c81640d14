/* launch PORT USER COMMAND [ARG...]
 *
 * What make bench-exec compares the launcher with: the shortest C program that makes the system calls of
 *
 *     reuseport-exec --socket http:127.0.0.1:PORT --user USER -- COMMAND [ARG...]
 *
 * in the same order.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

extern char **environ;

static void check(int worked, const char *step) {
    if (worked) return;
    perror(step);
    exit(111);
}

static int starts_with(const char *text, const char *prefix) { return !strncmp(text, prefix, strlen(prefix)); }

/* Whether a variable is never passed on, or is set below. */
static int is_replaced(const char *entry) {
    static const char *const names[] = {
        "LISTEN_PID=", "LISTEN_FDS=", "LISTEN_FDNAMES=", "LISTEN_PIDFDID=", "NGINX=", "EINHORN_",
        "SERVER_STARTER_PORT=", "SERVER_STARTER_GENERATION=", "UNICORN_FD=", "FPM_SOCKETS=", "LACTOSERV_FDS=",
        "LISTEN_ON=", "NODESOCKD_", "NODE_CHANNEL_FD=", "NODE_CHANNEL_SERIALIZATION_MODE=",
        "HOME=", "USER=", "LOGNAME=", "SHELL=",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (starts_with(entry, names[i])) return 1;
    return 0;
}

static char *joined(const char *name, const char *value) {
    char *entry;
    check(asprintf(&entry, "%s%s", name, value) >= 0, "asprintf");
    return entry;
}

static char *numbered(const char *name, long value) {
    char text[32];
    snprintf(text, sizeof text, "%ld", value);
    return joined(name, text);
}

static void execute(char **command, char **environment) {
    if (strchr(command[0], '/')) {
        execve(command[0], command, environment);
        return;
    }
    const char *path = getenv("PATH");
    char *folders = strdup(path ? path : "/bin:/usr/bin");
    for (char *folder; (folder = strsep(&folders, ":"));) {
        char file[PATH_MAX];
        snprintf(file, sizeof file, "%s/%s", folder, command[0]);
        execve(file, command, environment);
    }
}

int main(int argc, char **argv) {
    if (argc < 4) return 100;

    /* Look up the user. */
    struct passwd entry, *account = NULL;
    char buffer[1024];
    check(!getpwnam_r(argv[2], &entry, buffer, sizeof buffer, &account) && account, "getpwnam_r");
    gid_t groups[64];
    int group_count = 64;
    check(getgrouplist(account->pw_name, account->pw_gid, groups, &group_count) >= 0, "getgrouplist");

    /* Check that 0, 1 and 2 are open. */
    struct pollfd standard[3] = {{.fd = 0}, {.fd = 1}, {.fd = 2}};
    check(poll(standard, 3, 0) == 0, "poll");

    /* Bind. */
    int one = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    check(listener >= 0, "socket");
    check(!setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one), "SO_REUSEADDR");
    check(!setsockopt(listener, SOL_SOCKET, SO_REUSEPORT, &one, sizeof one), "SO_REUSEPORT");
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
    inet_pton(AF_INET, "127.0.0.1", &address.sin_addr);
    check(!bind(listener, (struct sockaddr *)&address, sizeof address), "bind");
    check(!listen(listener, INT_MAX), "listen");

    /* Drop. By system call, because the C library's functions look for other threads first. */
    uid_t user = account->pw_uid, r, e, s;
    gid_t group = account->pw_gid, gr, ge, gs;
    check(!syscall(SYS_setgroups, (long)group_count, groups), "setgroups");
    check(!getresgid(&gr, &ge, &gs), "getresgid");
    check(!syscall(SYS_setresgid, (long)group, (long)group, (long)group), "setresgid");
    check(!getresuid(&r, &e, &s), "getresuid");
    check(!syscall(SYS_setresuid, (long)user, (long)user, (long)user), "setresuid");
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct none[2] = {{0}};
    check(!syscall(SYS_capset, &header, none), "capset");

    /* Verify. */
    check(!getresgid(&gr, &ge, &gs) && gr == group && ge == group && gs == group, "getresgid");
    check(syscall(SYS_setresgid, 0L, 0L, 0L) == -1, "setresgid to 0");
    check(!getresuid(&r, &e, &s) && r == user && e == user && s == user, "getresuid");
    check(syscall(SYS_setresuid, 0L, 0L, 0L) == -1, "setresuid to 0");

    /* The environment. */
    size_t count = 0, kept = 0;
    while (environ[count]) count++;
    char **environment = malloc((count + 8) * sizeof *environment);
    for (size_t i = 0; i < count; i++)
        if (!is_replaced(environ[i])) environment[kept++] = environ[i];
    environment[kept++] = joined("HOME=", account->pw_dir);
    environment[kept++] = joined("USER=", account->pw_name);
    environment[kept++] = joined("LOGNAME=", account->pw_name);
    environment[kept++] = joined("SHELL=", account->pw_shell);
    environment[kept++] = joined("LISTEN_FDS=", "1");
    environment[kept++] = numbered("LISTEN_PID=", getpid());
    environment[kept++] = joined("LISTEN_FDNAMES=", "http");
    environment[kept] = NULL;

    /* Descriptor 3, and nothing else above 2. */
    syscall(SYS_close_range, 3L, (long)UINT_MAX, 4L /* CLOSE_RANGE_CLOEXEC */);
    if (listener == 3)
        fcntl(3, F_SETFD, 0);
    else
        check(dup2(listener, 3) == 3, "dup2");

    execute(argv + 3, environment);
    perror(argv[3]);
    return 127;
}
