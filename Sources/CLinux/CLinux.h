// Makes available to Swift what it cannot import: headers without a module, macros that are casts or expressions,
// variadic functions, and system calls without a wrapper in glibc 2.31. Each entry says why it is here.
//
// Swift's importer does not set _GNU_SOURCE, which would turn the address argument of bind(2) and connect(2) into a
// transparent union, another type in Swift. Functions that need it are declared here.
#ifndef CLINUX_H
#define CLINUX_H

#include <arpa/inet.h>
#include <elf.h>
#include <endian.h>
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
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/single_threaded.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

// errno is a macro that dereferences the result of a function.
static inline int clinux_errno(void) { return errno; }

// unistd.h declares environ under _GNU_SOURCE only.
extern char **environ;
static inline char **clinux_environ(void) { return environ; }

// The commit, which the release build links in; null in other builds.
extern const char reuseport_exec_commit[] __attribute__((weak));
static inline const char *clinux_commit(void) { return reuseport_exec_commit; }

// Swift cannot call variadic functions: open(2), openat(2), fcntl(2), ioctl(2), prctl(2) and syscall(2).
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

// Calls with a fixed string. A string literal in Swift would link the code that converts any String to a C string, 5
// kB.
static inline int clinux_leave_working_directory(void) { return chdir("/"); }
static inline int clinux_has_capabilities(int fd) { return fgetxattr(fd, "security.capability", NULL, 0) > 0; }
// Lets one user write to a file, beside its owner and group: sets an access list (acl(5)) in the form that setxattr(2)
// takes. A file that has one keeps it.
static inline void clinux_allow_writing(int fd, mode_t mode, uid_t user) {
    const char *name = "system.posix_acl_access";
    uint32_t any = UINT32_MAX;
    uint16_t owner = mode >> 6 & 7, group = mode >> 3 & 7, others = mode & 7;
    struct { uint32_t version; struct { uint16_t tag, rights; uint32_t id; } entries[5]; } list = {
        htole32(2),
        {{htole16(0x01), htole16(owner), any}, {htole16(0x02), htole16(2), htole32(user)},
         {htole16(0x04), htole16(group), any}, {htole16(0x10), htole16(group | 2), any},
         {htole16(0x20), htole16(others), any}}};
    if (fgetxattr(fd, name, NULL, 0) <= 0) fsetxattr(fd, name, &list, sizeof list, 0);
}
// Lets everybody write who can reach a pipe that has no name. Only its holders can, and processes that may trace one.
static inline void clinux_let_write_to_pipe(int fd) {
    struct statfs files;
    struct stat info;
    const long pipes = 0x50495045;  // PIPEFS_MAGIC
    if (fstatfs(fd, &files) == 0 && files.f_type == pipes && fstat(fd, &info) == 0) fchmod(fd, info.st_mode | 022);
}
static inline ssize_t clinux_write_newline(int fd) { return write(fd, "\n", 1); }
static inline ssize_t clinux_send_newline(int fd) { return send(fd, "\n", 1, MSG_NOSIGNAL); }
// fchownat(2) with AT_EMPTY_PATH works on O_PATH descriptors too.
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

// The kernel headers with these constants conflict with glibc's on some distributions, or are newer than the oldest
// supported ones.
#define CLINUX_SYS_close_range 436
#define CLINUX_SYS_pidfd_open 434
#define CLINUX_SYS_pidfd_getfd 438
#define CLINUX_SYS_pidfd_send_signal 424
#define CLINUX_SO_ATTACH_REUSEPORT_CBPF 51
#define CLINUX_SO_ATTACH_REUSEPORT_EBPF 52
#define CLINUX_SO_DETACH_REUSEPORT_BPF 68
#define CLINUX_SO_COOKIE 57
#define CLINUX_SO_BINDTOIFINDEX 62
#define CLINUX_SO_PASSRIGHTS 83

// struct ucred, which sys/socket.h declares under _GNU_SOURCE only.
struct clinux_ucred { pid_t pid; uid_t uid; gid_t gid; };

// SIG_IGN and SIG_DFL are casts, which Swift does not import.
static inline void clinux_ignore_signal(int number) { signal(number, SIG_IGN); }
static inline void clinux_default_signal(int number) { signal(number, SIG_DFL); }

// The handler in struct sigaction is in a union that Swift names differently on each platform.
static inline int clinux_signal_is_ignored(int number) {
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

// Swift cannot fill struct epoll_event, which is packed and contains a union.
static inline int clinux_epoll_add(int poll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data = {.fd = fd}};
    return epoll_ctl(poll, EPOLL_CTL_ADD, fd, &event);
}

// struct ifreq has unions. Whether lo is up, asked through any socket.
static inline int clinux_loopback_is_up(int fd) {
    struct ifreq request = {.ifr_name = "lo"};
    return ioctl(fd, SIOCGIFFLAGS, &request) == 0 && request.ifr_flags & IFF_UP;
}

// S_ISREG and similar macros are function-like.
static inline int clinux_file_type(mode_t mode) { return mode & S_IFMT; }

// fork(2) into a control group of version 2, by its directory's descriptor. clone3(2) has no wrapper in glibc, so locks
// of other threads would stay locked in the child: EAGAIN if there are any.
static inline pid_t clinux_fork_into(int group) {
    if (!__libc_single_threaded) {
        errno = EAGAIN;
        return -1;
    }
    // struct clone_args of linux/sched.h, whose old versions end before its last member.
    uint64_t arguments[11] = {[0] = 0x200000000 /* CLONE_INTO_CGROUP */, [4] = SIGCHLD, [10] = (uint64_t)group};
    return syscall(435 /* clone3 */, arguments, sizeof arguments);
}

// keyctl(2) has no wrapper in glibc.
static inline int clinux_join_new_session_keyring(void) {
    return syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL);
}

// MARK: Inspection of sockets and processes

// Swift imports arrays in structs as tuples, so the name of a directory entry is read here.
#include <dirent.h>
static inline const char *clinux_entry_name(const struct dirent *entry) { return entry->d_name; }

// The first parameter of setpriority(2) is an int without _GNU_SOURCE, but its constants are always enums.
static inline int clinux_set_thread_priority(pid_t thread, int nice) {
    return setpriority(PRIO_PROCESS, (id_t)thread, nice);
}

// --- Steering --------------------------------------------------------------------------------------------- bpf(2) has
// no wrapper in glibc, and takes a union of anonymous structures, which Swift cannot fill. Old kernel headers have all
// members that are used here.
static inline int clinux_bpf(int command, union bpf_attr *attributes) {
    return syscall(SYS_bpf, command, attributes, sizeof *attributes);
}
// BPF_MAP_CREATE. All descriptors of bpf(2) are close-on-exec.
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
// BPF_PROG_GET_NEXT_ID and BPF_PROG_GET_FD_BY_ID find loaded programs when the registry has been lost.
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
// Reads the name of a program and the ids of its maps, at most `size`. Returns how many maps it has.
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
// BPF_OBJ_GET_INFO_BY_FD of a map (struct bpf_map_info) or a program (struct bpf_prog_info).
static inline int clinux_bpf_info(int fd, void *info, uint32_t size) {
    union bpf_attr attributes;
    memset(info, 0, size);
    memset(&attributes, 0, sizeof attributes);
    attributes.info.bpf_fd = fd;
    attributes.info.info_len = size;
    attributes.info.info = (uintptr_t)info;
    return clinux_bpf(BPF_OBJ_GET_INFO_BY_FD, &attributes);
}
// BPF_PROG_LOAD. Writes no log if log_size is 0.
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
// Embedded Swift cannot import the compiler's atomic operations.
static inline void clinux_store_u64(void *address, uint64_t value) {
    __atomic_store_n((uint64_t *)address, value, __ATOMIC_RELEASE);
}
static inline uint64_t clinux_load_u64(const void *address) {
    return __atomic_load_n((const uint64_t *)address, __ATOMIC_ACQUIRE);
}
// --- Readiness --------------------------------------------------------------------------------------------
// How the process of a pidfd has ended: waitid(2), which leaves a child as it is, else PIDFD_GET_INFO (linux/pidfd.h),
// Linux 6.15, which knows it once the parent has waited. The struct is the first 64 bytes of struct pidfd_info, which
// all these kernels accept.
struct clinux_pidfd_info {
    uint64_t mask, cgroup;
    uint32_t pid, tgid, ppid, ruid, rgid, euid, egid, suid, sgid, fsuid, fsgid;
    int32_t exit_status;
};
static inline int clinux_pidfd_exit_status(int pidfd, int *status) {
    siginfo_t end = {0};
    if (waitid(3 /* P_PIDFD */, (id_t)pidfd, &end, WEXITED | WNOHANG | WNOWAIT) == 0 && end.si_pid != 0) {
        *status = end.si_code == CLD_EXITED ? end.si_status << 8 : end.si_status;
        return 0;
    }
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
// recvmsg(2), without waiting, of one message with its sender (SCM_CREDENTIALS), which stays as it is without one.
// Returns the length of the message, even if the buffer is shorter. There is no room for passed descriptors, so the
// kernel closes them.
static inline ssize_t clinux_receive_message(int fd, void *buffer, size_t size, struct clinux_ucred *sender) {
    struct {
        struct cmsghdr header;
        struct clinux_ucred sender;
    } control = {0};
    struct iovec part = {.iov_base = buffer, .iov_len = size};
    struct msghdr message = {
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = CMSG_LEN(sizeof *sender)};
    ssize_t count = recvmsg(fd, &message, MSG_DONTWAIT | MSG_TRUNC);
    if (count != -1 && control.header.cmsg_level == SOL_SOCKET && control.header.cmsg_type == 2 /* SCM_CREDENTIALS */)
        *sender = control.sender;
    return count;
}

// sendmsg(2), without waiting, of one message with a descriptor (SCM_RIGHTS) unless that is -1.
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
// For inotify(7): coordinators wait for changes of the registry.
#include <sys/inotify.h>
#include <stddef.h>

// The start of the arguments, which ps(1) shows as the title. errno.h declares it under _GNU_SOURCE only.
extern char *program_invocation_name;
static inline char *clinux_title_start(void) { return program_invocation_name; }

// sendmsg(2) to a Unix socket, as from another process (SCM_CREDENTIALS). `path` has no final zero byte, because
// abstract names may contain zero bytes and have an exact length; @ stands for the zero byte that they begin with.
static inline int clinux_send_to_unix(
    int fd, const char *path, size_t length, const void *data, size_t size, pid_t sender) {
    struct sockaddr_un address;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    if (length > sizeof address.sun_path) { errno = ENAMETOOLONG; return -1; }
    memcpy(address.sun_path, path, length);
    if (address.sun_path[0] == '@') address.sun_path[0] = 0;
    struct {
        struct cmsghdr header;
        struct clinux_ucred sender;
    } control = {
        {.cmsg_len = CMSG_LEN(sizeof control.sender), .cmsg_level = SOL_SOCKET, .cmsg_type = 2 /* SCM_CREDENTIALS */},
        {.pid = sender, .uid = getuid(), .gid = getgid()}};
    struct iovec part = {.iov_base = (void *)data, .iov_len = size};
    struct msghdr message = {
        .msg_name = &address, .msg_namelen = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length),
        .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = control.header.cmsg_len};
    return (int)sendmsg(fd, &message, MSG_NOSIGNAL);
}

// posix_spawn(3) with all signals at their defaults. `group` is 0, POSIX_SPAWN_SETPGROUP or CLINUX_SPAWN_SETSID. Each
// of the three standard descriptors becomes a copy of the one that is given, or /dev/null if that is -1. In C, because
// the attributes are opaque structures, and Swift cannot fill sets of signals.
#define CLINUX_SPAWN_SETSID 0x80  // glibc 2.26 declares POSIX_SPAWN_SETSID under _GNU_SOURCE only.
static inline int clinux_spawn(
    pid_t *child, const char *path, char *const *arguments, char *const *environment, short group,
    const int standard[3]) {
    posix_spawnattr_t attributes;
    posix_spawn_file_actions_t actions;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, (short)(group | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK));
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawn_file_actions_init(&actions);
    for (int number = 0; number < 3; number++) {
        if (standard[number] == -1) posix_spawn_file_actions_addopen(&actions, number, "/dev/null", O_RDWR, 0);
        else posix_spawn_file_actions_adddup2(&actions, standard[number], number);
    }
    int code = posix_spawn(child, path, &actions, &attributes, arguments, environment);
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
    return code;
}

// --- Terminals --------------------------------------------------------------------------------------------
// TIOCGWINSZ: reads the columns and rows of a terminal, 0 if it does not know them; -1 if it is not a terminal.
static inline int clinux_window_size(int fd, int *columns, int *rows) {
    struct winsize size = {0};
    if (ioctl(fd, TIOCGWINSZ, &size) == -1) return -1;
    *columns = size.ws_col;
    *rows = size.ws_row;
    return 0;
}

#endif
