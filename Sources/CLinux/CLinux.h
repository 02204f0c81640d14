// What Swift cannot import by itself: headers without a module of their own, macros that are casts or
// expressions, variadic calls, and calls glibc 2.31 has no wrapper for. Each entry says why it exists.
//
// _GNU_SOURCE is not set for Swift's importer, and must not be: it turns the address argument of bind(2) and
// connect(2) into a transparent union that Swift sees as another type. What would need it is declared here.
#ifndef CLINUX_H
#define CLINUX_H

#include <arpa/inet.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/unix_diag.h>
#include <net/if.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

// errno is a macro that dereferences a function's result.
static inline int clinux_errno(void) { return errno; }
static inline void clinux_set_errno(int value) { errno = value; }

// environ is declared by unistd.h under _GNU_SOURCE only.
extern char **environ;
static inline char **clinux_environ(void) { return environ; }

// The commit of the release binary, in an object that its build links in; null in other builds.
extern const char reuseport_exec_commit[] __attribute__((weak));
static inline const char *clinux_commit(void) { return reuseport_exec_commit; }

// open(2), openat(2), fcntl(2), ioctl(2), prctl(2) and syscall(2) are variadic, which Swift does not call.
static inline int clinux_open(const char *path, int flags, mode_t mode) { return open(path, flags, mode); }
static inline int clinux_openat(int directory, const char *path, int flags, mode_t mode) {
    return openat(directory, path, flags, mode);
}
static inline int clinux_fcntl(int fd, int command, long argument) { return fcntl(fd, command, argument); }
static inline int clinux_prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d) {
    return prctl(option, a, b, c, d);
}
static inline long clinux_syscall(long number, long a, long b, long c, long d, long e, long f) {
    return syscall(number, a, b, c, d, e, f);
}

// Calls with a fixed string: as a literal in Swift it would need all that makes a C string of any String, 5 kB.
static inline int clinux_enter_root(void) { return chdir("/"); }
static inline int clinux_has_capabilities(int fd) { return fgetxattr(fd, "security.capability", NULL, 0) > 0; }
static inline ssize_t clinux_write_newline(int fd) { return write(fd, "\n", 1); }
static inline ssize_t clinux_send_newline(int fd) { return send(fd, "\n", 1, MSG_NOSIGNAL); }
static inline int clinux_spawn_with_null(posix_spawn_file_actions_t *actions, int fd) {
    return posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
}
// Also of an O_PATH descriptor (AT_EMPTY_PATH).
static inline int clinux_chown_descriptor(int fd, uid_t owner, gid_t group) {
    return fchownat(fd, "", owner, group, 0x1000);
}

// Declared under _GNU_SOURCE only.
int accept4(int, struct sockaddr *, socklen_t *, int);
int chroot(const char *);
int dup3(int, int, int);
int pipe2(int[2], int);
int setgroups(size_t, const gid_t *);
int getgrouplist(const char *, gid_t, gid_t *, int *);
int setresuid(uid_t, uid_t, uid_t);
int setresgid(gid_t, gid_t, gid_t);
int getresuid(uid_t *, uid_t *, uid_t *);
int getresgid(gid_t *, gid_t *, gid_t *);
#define CLINUX_O_PATH 010000000

// The kernel's headers that have these constants clash with glibc's on some distributions, or are younger than
// the oldest we build on.
#define CLINUX_SYS_close_range 436
#define CLINUX_SYS_openat2 437
#define CLINUX_SYS_pidfd_open 434
#define CLINUX_SYS_pidfd_getfd 438
#define CLINUX_SYS_pidfd_send_signal 424
#define CLINUX_SO_ATTACH_REUSEPORT_CBPF 51
#define CLINUX_SO_ATTACH_REUSEPORT_EBPF 52
#define CLINUX_SO_DETACH_REUSEPORT_BPF 68
#define CLINUX_SO_COOKIE 57

// struct ucred, statically known here because sys/socket.h has it under _GNU_SOURCE only.
struct clinux_ucred { pid_t pid; uid_t uid; gid_t gid; };

// SIG_IGN and SIG_DFL are casts, which the importer leaves out.
static inline void clinux_ignore_signal(int number) { signal(number, SIG_IGN); }
static inline void clinux_default_signal(int number) { signal(number, SIG_DFL); }

// sigaction's handler is a member of a union that Swift names differently per platform.
static inline int clinux_signal_is_ignored(int number) {
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

// struct epoll_event is packed, with a union in it: no Swift type.
static inline int clinux_epoll_add(int poll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    return epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

// S_ISREG and its kin are function-like macros.
static inline int clinux_file_type(mode_t mode) { return mode & S_IFMT; }

// MARK: Inspection of sockets and processes

// For opendir(3): reading /proc. Arrays in structs are imported as tuples, so the entry's name is read here.
#include <dirent.h>
static inline const char *clinux_entry_name(const struct dirent *entry) { return entry->d_name; }

// The first parameter is an enum in C++ or under _GNU_SOURCE, and an int else; the constants are enums always.
static inline int clinux_set_thread_priority(pid_t thread, int nice) {
    return setpriority(PRIO_PROCESS, (id_t)thread, nice);
}
// getpriority(2) may answer -1 without having failed.
static inline int clinux_thread_priority(pid_t thread) {
    errno = 0;
    return getpriority(PRIO_PROCESS, (id_t)thread);
}

// --- Steering ---------------------------------------------------------------------------------------------
// bpf(2) has no wrapper in glibc, and takes a union of anonymous structures, which Swift cannot fill in. What is
// used of it is older than any kernel with two banks, so old headers have it as well.
static inline int clinux_bpf(int command, union bpf_attr *attributes) {
    return syscall(SYS_bpf, command, attributes, sizeof *attributes);
}
// BPF_MAP_CREATE. The descriptor is close-on-exec, as all those of bpf(2) are.
static inline int clinux_bpf_create_map(
    uint32_t type, uint32_t key_size, uint32_t value_size, uint32_t entries, uint32_t flags, const char *name) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.map_type = type;
    attributes.key_size = key_size;
    attributes.value_size = value_size;
    attributes.max_entries = entries;
    attributes.map_flags = flags;
    strncpy(attributes.map_name, name, sizeof attributes.map_name - 1);
    return clinux_bpf(BPF_MAP_CREATE, &attributes);
}
// BPF_MAP_UPDATE_ELEM, BPF_MAP_LOOKUP_ELEM and BPF_MAP_DELETE_ELEM: 4-byte keys, 8-byte values.
static inline int clinux_bpf_element(int command, int map, uint32_t key, uint64_t *value) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.map_fd = map;
    attributes.key = (uintptr_t)&key;
    attributes.value = (uintptr_t)value;
    return clinux_bpf(command, &attributes);
}
// BPF_MAP_GET_FD_BY_ID.
static inline int clinux_bpf_open_map(uint32_t id) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.map_id = id;
    return clinux_bpf(BPF_MAP_GET_FD_BY_ID, &attributes);
}
// BPF_PROG_GET_NEXT_ID and BPF_PROG_GET_FD_BY_ID: to find programs that no file tells of any more.
static inline int clinux_bpf_next_program(uint32_t id, uint32_t *next) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.start_id = id;
    int result = clinux_bpf(BPF_PROG_GET_NEXT_ID, &attributes);
    *next = attributes.next_id;
    return result;
}
static inline int clinux_bpf_open_program(uint32_t id) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_id = id;
    return clinux_bpf(BPF_PROG_GET_FD_BY_ID, &attributes);
}
// The name of a program, and the ids of its maps, of which at most `size` are written; answers how many it has.
static inline int clinux_bpf_program_maps(int fd, char name[16], uint32_t *maps, uint32_t size) {
    struct bpf_prog_info info;
    union bpf_attr attributes;
    memset(&info, 0, sizeof info);
    memset(&attributes, 0, sizeof attributes);
    info.nr_map_ids = size;
    info.map_ids = (uintptr_t)maps;
    attributes.info.bpf_fd = fd;
    attributes.info.info_len = sizeof info;
    attributes.info.info = (uintptr_t)&info;
    if (clinux_bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes) == -1) return -1;
    memcpy(name, info.name, 16);
    return (int)info.nr_map_ids;
}
// BPF_OBJ_GET_INFO_BY_FD, of a map (struct bpf_map_info) or a program (struct bpf_prog_info).
static inline int clinux_bpf_info(int fd, void *info, uint32_t size) {
    union bpf_attr attributes;
    memset(info, 0, size);
    memset(&attributes, 0, sizeof attributes);
    attributes.info.bpf_fd = fd;
    attributes.info.info_len = size;
    attributes.info.info = (uintptr_t)info;
    return clinux_bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes);
}
// BPF_PROG_LOAD. No log is written if log_size is 0.
static inline int clinux_bpf_load_program(
    uint32_t type, uint32_t expected_attach_type, const uint64_t *instructions, uint32_t count, const char *license,
    const char *name, char *log, uint32_t log_size) {
    union bpf_attr attributes;
    memset(&attributes, 0, sizeof attributes);
    attributes.prog_type = type;
    attributes.expected_attach_type = expected_attach_type;
    attributes.insns = (uintptr_t)instructions;
    attributes.insn_cnt = count;
    attributes.license = (uintptr_t)license;
    strncpy(attributes.prog_name, name, sizeof attributes.prog_name - 1);
    if (log_size > 0) {
        attributes.log_level = 1;
        attributes.log_size = log_size;
        attributes.log_buf = (uintptr_t)log;
    }
    return clinux_bpf(BPF_PROG_LOAD, &attributes);
}
// The compiler's atomics have no counterpart in Embedded Swift's C importer.
static inline void clinux_store_u64(void *address, uint64_t value) {
    __atomic_store_n((uint64_t *)address, value, __ATOMIC_RELEASE);
}
static inline uint64_t clinux_load_u64(const void *address) {
    return __atomic_load_n((const uint64_t *)address, __ATOMIC_ACQUIRE);
}
// --- Readiness --------------------------------------------------------------------------------------------
// PIDFD_GET_INFO of linux/pidfd.h, Linux 6.15 for what is asked here: the first 64 bytes of struct pidfd_info, as
// old as the call. The exit status is there once the parent has been told.
struct clinux_pidfd_info {
    uint64_t mask, cgroup;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_status;
};
static inline int clinux_pidfd_exit_status(int pidfd, int *status) {
    const uint64_t exited = 1 << 3;
    struct clinux_pidfd_info info = {.mask = exited};
    if (ioctl(pidfd, _IOWR(0xFF, 11, struct clinux_pidfd_info), &info) == -1) return -1;
    if (!(info.mask & exited)) {
        errno = EAGAIN;
        return -1;
    }
    *status = info.exit_status;
    return 0;
}
// recvmsg(2) of one message with its sender (SCM_CREDENTIALS), at once. There is room for nothing else that may
// come along: the kernel closes descriptors for which there is none. -1 and EBADMSG without a sender.
static inline ssize_t clinux_receive_credentials(int fd, void *buffer, size_t size, struct clinux_ucred *sender) {
    struct {
        struct cmsghdr header;
        struct clinux_ucred sender;
    } control = {0};
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof *sender)};
    ssize_t count = recvmsg(fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count == -1) return -1;
    if (control.header.cmsg_level != SOL_SOCKET || control.header.cmsg_type != 2 /* SCM_CREDENTIALS */) {
        errno = EBADMSG;
        return -1;
    }
    *sender = control.sender;
    return count;
}

// sendmsg(2) of one message, at once, with a descriptor (SCM_RIGHTS) unless it is -1.
static inline ssize_t clinux_send_message(int fd, const void *data, size_t size, int descriptor) {
    struct {
        struct cmsghdr header;
        int descriptor;
    } control = {
        {.cmsg_len = CMSG_LEN(sizeof descriptor), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS}, descriptor};
    struct iovec part = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (descriptor != -1) {
        message.msg_control = &control;
        message.msg_controllen = sizeof control;
    }
    return sendmsg(fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

// --- Handing over -----------------------------------------------------------------------------------------
// For inotify(7): helpers of one generation wait for each other's changes of the registry.
#include <sys/inotify.h>
#include <stddef.h>

// The first byte of the arguments, which ps(1) shows as the process's title; declared under _GNU_SOURCE only.
extern char *program_invocation_name;
static inline char *clinux_title_start(void) { return program_invocation_name; }

// An autobound or abstract Unix address has a length that is not that of a path.
static inline int clinux_send_to_unix(int fd, const char *path, size_t length, const void *data, size_t size) {
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    if (length > sizeof address.sun_path) { errno = ENAMETOOLONG; return -1; }
    memcpy(address.sun_path, path, length);
    if (address.sun_path[0] == '@') address.sun_path[0] = 0;
    return sendto(fd, data, size, MSG_NOSIGNAL, (struct sockaddr *)&address,
                  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length));
}

// posix_spawn(3) in a process group of its own, all signals as they are by default, with nothing to read and no
// output but standard error. Its attributes are opaque structures, and sets of signals are not for Swift to fill.
static inline int clinux_spawn_in_group(pid_t *child, char *const *arguments, char *const *environment) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    int code = posix_spawn(child, arguments[0], &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return code;
}

// A process in a session of its own that reads what is written to a pipe, and is nobody's business else.
static inline int clinux_spawn_reader(
    pid_t *child, const char *path, char *const *arguments, char *const *environment, int input) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    // POSIX_SPAWN_SETSID of glibc 2.26, which is declared for _GNU_SOURCE only.
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK | 0x80);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, 0);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0);
    int code = posix_spawn(child, path, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return code;
}

// --- Terminals --------------------------------------------------------------------------------------------
// TIOCGWINSZ: how many columns and rows a terminal has, 0 where it does not know; -1 for what is no terminal.
static inline int clinux_window_size(int fd, int *columns, int *rows) {
    struct winsize size = {0};
    if (ioctl(fd, TIOCGWINSZ, &size) == -1) return -1;
    *columns = size.ws_col;
    *rows = size.ws_row;
    return 0;
}

#endif
