// Puts the process into a chosen state and executes a program in it: what posix_spawn(3) has no attribute for.
//
//   prepare STEP... -- PROGRAM [ARGUMENT...]
//
//   argv0 NAME            the program's argv[0]
//   block N, ignore N     signal N
//   capabilities ambient  keeps those of a launcher in every way: inheritable, ambient, not cleared by setuid(2)
//   bounds A,B            no capability but these numbers, also after an exec as root: as root in a container
//   capabilities none     drops every capability, and root's claim to get them back
//   chdir PATH            working directory
//   close N               closes descriptor N
//   deny N ERRNO          socket(2) fails with ERRNO for address family N
//   fill BYTES            adds variables until the environment has BYTES, as execve(2) counts them
//   groups A,B uid N gid N
//   join PID              the network namespace of that process
//   namespace net         own network namespace, loopback up
//   namespace mount       own mount namespace, nothing propagates out of it
//   no-arguments -        executes with an empty argument list
//   nofile N, stack N     soft and hard limit
//   pretend CALL          setresuid or setresgid does nothing from now on, and says that it has done it
//   open N PATH           opens PATH for reading and writing at N
//   sysctl NAME=VALUE     inside the own network namespace only
//   umask MODE            in octal
//   unmount PATH          inside the own mount namespace only
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

static int own_network, own_mounts;

static void fail(const char *what) {
    dprintf(2, "prepare: %s: %s\n", what, strerror(errno));
    _exit(99);
}

static void require(int holds, const char *what) {
    if (holds) return;
    dprintf(2, "prepare: %s\n", what);
    _exit(99);
}

static void limit(int resource, const char *value) {
    struct rlimit both = {strtoul(value, 0, 10), strtoul(value, 0, 10)};
    if (setrlimit(resource, &both)) fail("setrlimit");
}

static void loopback_up(void) {
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request)) fail("loopback up");
    close(fd);
}

static void write_sysctl(char *assignment) {
    char path[256];
    char *value = strchr(assignment, '=');
    require(own_network && value && !strncmp(assignment, "net/", 4), "sysctl needs its own namespace");
    *value++ = 0;
    snprintf(path, sizeof path, "/proc/sys/%s", assignment);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, value, strlen(value)) < 0) fail(path);
    close(fd);
}

static void set_groups(char *list) {
    gid_t groups[64];
    size_t count = 0;
    for (char *part = strtok(list, ","); part && count < 64; part = strtok(0, ",")) groups[count++] = atoi(part);
    if (setgroups(count, groups)) fail("setgroups");
}

static void keep_capabilities(void) {
    // SETGID, SETUID, NET_BIND_SERVICE
    static const int kept[] = {6, 7, 10};
    struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    struct __user_cap_data_struct data[2];
    if (syscall(SYS_capget, &header, data)) fail("capget");
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) data[0].inheritable |= 1U << kept[i];
    if (syscall(SYS_capset, &header, data)) fail("capset");
    if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)) fail("securebits");
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, kept[i], 0, 0)) fail("ambient");
}

static void bound(char *list) {
    char kept[64] = {0};
    for (char *part = strtok(list, ","); part; part = strtok(0, ",")) kept[atoi(part) & 63] = 1;
    for (int number = 0; number < 64; number++)
        if (!kept[number] && prctl(PR_CAPBSET_DROP, number, 0, 0, 0) && errno != EINVAL) fail("bounds");
}

static void pretend(const char *call) {
    unsigned number = !strcmp(call, "setresuid") ? SYS_setresuid : SYS_setresgid;
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {4, code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) fail("seccomp");
}

static void deny(unsigned family, unsigned reason) {
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, family, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | reason),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {6, code};
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) fail("seccomp");
}

static void fill(size_t size) {
    size_t used = 0;
    for (char **entry = environ; *entry; entry++) used += strlen(*entry) + 1 + sizeof *entry;
    for (int number = 0; used < size; number++) {
        char name[32];
        int name_length = snprintf(name, sizeof name, "FILL%d", number);
        // NAME=VALUE, its end and the pointer to it. Well below the kernel's 128 KiB for one.
        size_t around = name_length + 2 + sizeof(char *), rest = size - used;
        size_t length = rest > around ? rest - around : 0;
        if (length > 100000) length = 100000;
        char *value = malloc(length + 1);
        memset(value, 'x', length);
        value[length] = 0;
        setenv(name, value, 1);
        used += length + around;
    }
}

int main(int argc, char **argv) {
    char *empty[] = {0};
    char *first = 0;
    int no_arguments = 0;
    sigset_t blocked;
    sigemptyset(&blocked);
    // What the caller left open by chance is none of the state asked for. SYS_close_range is 436 everywhere.
    syscall(436, 3, ~0U, 0);
    // glibc's posix_spawn leaves its two internal signals ignored, and sigaction(3) refuses to touch them.
    struct { void *handler; unsigned long flags; void *restorer; unsigned long mask; } standard = {0};
    for (int internal = 32; internal < 34; internal++)
        syscall(SYS_rt_sigaction, internal, &standard, 0, sizeof standard.mask);
    int i = 1;
    while (i + 1 < argc && strcmp(argv[i], "--")) {
        const char *step = argv[i++];
        char *value = argv[i++];
        int number = atoi(value);
        if (!strcmp(step, "argv0")) first = value;
        else if (!strcmp(step, "block")) sigaddset(&blocked, number);
        else if (!strcmp(step, "ignore")) signal(number, SIG_IGN);
        else if (!strcmp(step, "bounds")) bound(value);
        else if (!strcmp(step, "capabilities") && !strcmp(value, "ambient")) keep_capabilities();
        else if (!strcmp(step, "capabilities")) {
            struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
            struct __user_cap_data_struct data[2];
            memset(data, 0, sizeof data);
            if (prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NOROOT_LOCKED)) fail("securebits");
            if (syscall(SYS_capset, &header, data)) fail("capset");
        } else if (!strcmp(step, "chdir")) { if (chdir(value)) fail(value); }
        else if (!strcmp(step, "close")) close(number);
        else if (!strcmp(step, "deny")) {
            require(i < argc, "deny N ERRNO");
            deny(number, atoi(argv[i++]));
        } else if (!strcmp(step, "fill")) fill(strtoul(value, 0, 10));
        else if (!strcmp(step, "groups")) set_groups(value);
        else if (!strcmp(step, "uid")) { if (setresuid(number, number, number)) fail("setresuid"); }
        else if (!strcmp(step, "gid")) { if (setresgid(number, number, number)) fail("setresgid"); }
        else if (!strcmp(step, "namespace") && !strcmp(value, "net")) {
            if (unshare(CLONE_NEWNET)) fail("unshare");
            own_network = 1;
            loopback_up();
        } else if (!strcmp(step, "join")) {
            char path[64];
            snprintf(path, sizeof path, "/proc/%d/ns/net", number);
            int fd = open(path, O_RDONLY | O_CLOEXEC);
            if (fd < 0 || setns(fd, CLONE_NEWNET)) fail(path);
            close(fd);
        } else if (!strcmp(step, "namespace") && !strcmp(value, "mount")) {
            if (unshare(CLONE_NEWNS) || mount(0, "/", 0, MS_REC | MS_PRIVATE, 0)) fail("unshare");
            own_mounts = 1;
        } else if (!strcmp(step, "unmount")) {
            require(own_mounts, "unmount needs its own namespace");
            // Once for every mount stacked there.
            if (umount2(value, MNT_DETACH)) fail(value);
            while (!umount2(value, MNT_DETACH)) {}
        } else if (!strcmp(step, "no-arguments")) no_arguments = 1;
        else if (!strcmp(step, "pretend")) pretend(value);
        else if (!strcmp(step, "nofile")) limit(RLIMIT_NOFILE, value);
        else if (!strcmp(step, "stack")) limit(RLIMIT_STACK, value);
        else if (!strcmp(step, "open")) {
            require(i < argc, "open N PATH");
            int fd = open(argv[i], O_RDWR);
            if (fd < 0) fd = open(argv[i], O_RDONLY);
            if (fd < 0) fail(argv[i]);
            if (fd != number) {
                if (dup2(fd, number) < 0) fail("dup2");
                close(fd);
            }
            i++;
        } else if (!strcmp(step, "sysctl")) write_sysctl(value);
        else if (!strcmp(step, "umask")) umask(strtoul(value, 0, 8));
        else require(0, step);
    }
    require(i + 1 < argc, "no program");
    char *program = argv[++i];
    if (first) argv[i] = first;
    if (sigprocmask(SIG_SETMASK, &blocked, 0)) fail("sigprocmask");
    execv(program, no_arguments ? empty : argv + i);
    fail(program);
}
