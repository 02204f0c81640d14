// A target that tells what it sees of itself, before any runtime could change it. Statically linked where
// possible, so that it runs in an empty root directory.
//
//   view [ARGUMENT...]      prints `KEY HEX` lines to standard output, or to the file $VIEW_TO if that is set
//
// With VIEW_STAY=1 in the environment it then waits until it is killed.
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

static FILE *out;

static void put(const char *key, const void *data, size_t size) {
    fprintf(out, "%s ", key);
    for (size_t i = 0; i < size; i++) fprintf(out, "%02x", ((const unsigned char *)data)[i]);
    fputc('\n', out);
}

static void text(const char *key, const char *value) { put(key, value, strlen(value)); }

static int option(int fd, int level, int name) {
    int value = -1;
    socklen_t size = sizeof value;
    return getsockopt(fd, level, name, &value, &size) ? -1 : value;
}

// What a descriptor is: link, flags and, for a socket, its options.
static void descriptor(int fd) {
    char path[64], link[4200] = "", key[32];
    struct stat status;
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    ssize_t size = readlink(path, link, sizeof link - 1);
    if (size < 0) size = 0;
    snprintf(key, sizeof key, "fd:%d", fd);
    put(key, link, size);
    snprintf(key, sizeof key, "flags:%d", fd);
    char line[256];
    snprintf(line, sizeof line, "fd=%d fl=%o", fcntl(fd, F_GETFD), fcntl(fd, F_GETFL));
    text(key, line);
    if (fstat(fd, &status) || !S_ISSOCK(status.st_mode)) return;
    snprintf(key, sizeof key, "socket:%d", fd);
    snprintf(line, sizeof line, "domain=%d type=%d listening=%d reuseport=%d reuseaddr=%d v6only=%d nodelay=%d",
        option(fd, SOL_SOCKET, SO_DOMAIN), option(fd, SOL_SOCKET, SO_TYPE), option(fd, SOL_SOCKET, SO_ACCEPTCONN),
        option(fd, SOL_SOCKET, SO_REUSEPORT), option(fd, SOL_SOCKET, SO_REUSEADDR),
        option(fd, IPPROTO_IPV6, IPV6_V6ONLY), option(fd, IPPROTO_TCP, TCP_NODELAY));
    text(key, line);
    struct tcp_info info;
    socklen_t length = sizeof info;
    if (option(fd, SOL_SOCKET, SO_ACCEPTCONN) == 1 && !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &length)) {
        // For a listener, this field is the backlog (tcp_get_info in the kernel).
        snprintf(key, sizeof key, "backlog:%d", fd);
        snprintf(line, sizeof line, "%u", info.tcpi_sacked);
        text(key, line);
    }
    char device[64] = "";
    length = sizeof device;
    if (!getsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, &length)) {
        snprintf(key, sizeof key, "device:%d", fd);
        text(key, device);
    }
    struct sockaddr_storage address;
    length = sizeof address;
    memset(&address, 0, sizeof address);
    if (getsockname(fd, (struct sockaddr *)&address, &length)) return;
    if (address.ss_family == AF_INET || address.ss_family == AF_INET6) {
        // The port is at the same place in both.
        snprintf(key, sizeof key, "port:%d", fd);
        snprintf(line, sizeof line, "%d", ntohs(((struct sockaddr_in *)&address)->sin_port));
        text(key, line);
    }
}

// All descriptors of the process, without the one needed for looking; without /proc, by asking for each.
static void descriptors(void) {
    char buffer[1 << 15];
    int found[4096], count = 0;
    int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (directory < 0) {
        for (int fd = 0; fd < 4096; fd++) if (fcntl(fd, F_GETFD) != -1) found[count++] = fd;
    } else {
        long size;
        while ((size = syscall(SYS_getdents64, directory, buffer, sizeof buffer)) > 0)
            for (long at = 0; at < size;) {
                struct dirent64 *entry = (struct dirent64 *)(buffer + at);
                at += entry->d_reclen;
                if (entry->d_name[0] == '.' || atoi(entry->d_name) == directory || count == 4096) continue;
                found[count++] = atoi(entry->d_name);
            }
        close(directory);
    }
    for (int i = 0; i < count; i++) descriptor(found[i]);
}

// The kernel's own words: ids, groups, capabilities, NoNewPrivs, umask, signal masks and dispositions.
static void status(void) {
    static char buffer[1 << 16];
    int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
    if (fd < 0) return;
    ssize_t size = read(fd, buffer, sizeof buffer);
    close(fd);
    if (size > 0) put("status", buffer, size);
}

int main(int argc, char **argv, char **envp) {
    char buffer[1 << 14];
    char *bytes = 0;
    size_t size = 0;
    // First into memory, so that the output file is not among the descriptors.
    out = open_memstream(&bytes, &size);
    descriptors();
    status();
    for (int i = 0; i < argc; i++) text("argv", argv[i]);
    for (char **entry = envp; *entry; entry++) text("env", *entry);
    if (getcwd(buffer, sizeof buffer)) text("cwd", buffer);
    snprintf(buffer, sizeof buffer, "%d", getpid());
    text("pid", buffer);
    mode_t mask = umask(0);
    umask(mask);
    snprintf(buffer, sizeof buffer, "%03o", mask);
    text("umask", buffer);
    uid_t r, e, s;
    getresuid(&r, &e, &s);
    snprintf(buffer, sizeof buffer, "%u %u %u", r, e, s);
    text("uid", buffer);
    getresgid(&r, &e, &s);
    snprintf(buffer, sizeof buffer, "%u %u %u", r, e, s);
    text("gid", buffer);
    gid_t groups[1024];
    int count = getgroups(1024, groups), used = 0;
    buffer[0] = 0;
    for (int i = 0; i < count; i++) used += sprintf(buffer + used, "%s%u", i ? " " : "", groups[i]);
    text("groups", buffer);
    text("end", "");
    fclose(out);

    const char *to = getenv("VIEW_TO");
    int fd = to ? open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : 1;
    for (size_t at = 0; at < size;) {
        ssize_t written = write(fd, bytes + at, size - at);
        if (written < 0) return 98;
        at += written;
    }
    const char *stay = getenv("VIEW_STAY");
    while (stay && !strcmp(stay, "1")) pause();
    return 0;
}
