/* bind ROUNDS PORT: binds a new TCP socket to 127.0.0.1:PORT and closes it, ROUNDS times. Prints the median time of
 * bind(2) in nanoseconds. With port 0 the kernel chooses a port.
 */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long long nanoseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

static int compare(const void *a, const void *b) {
    long long left = *(const long long *)a, right = *(const long long *)b;
    return (left > right) - (left < right);
}

int main(int count, char **words) {
    int rounds = count == 3 ? atoi(words[1]) : 0;
    if (rounds < 1) return 100;
    long long *times = calloc((size_t)rounds, sizeof *times);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((in_port_t)atoi(words[2]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    for (int round = 0; times && round < rounds; round++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        long long began = nanoseconds();
        if (bind(fd, (struct sockaddr *)&address, sizeof address) == -1) {
            perror("bind");
            return 111;
        }
        times[round] = nanoseconds() - began;
        close(fd);
    }
    qsort(times, (size_t)rounds, sizeof *times, compare);
    printf("%lld\n", times[rounds / 2]);
    return 0;
}
