/* interleave ROUNDS NAME COMMAND [ARG...] [::: NAME COMMAND [ARG...]]...
 *
 * Runs every command once per round, shuffled anew each round, so that other load on the machine affects all alike.
 * Prints a line for each, separated by tabs: name, and median, mean, minimum and standard deviation of the time from
 * before the spawn until after the wait, in microseconds. Begins with some rounds that are not counted (a tenth of
 * ROUNDS). Fails if a command does not exit with 0.
 */
#define _GNU_SOURCE
#include <math.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>

extern char **environ;

enum { most_commands = 32 };

struct command {
    const char *name;
    char **argv;
    double *times;
};

static double microseconds(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static double run(struct command *command) {
    pid_t pid;
    int status = 0;
    double start = microseconds();
    int problem = posix_spawn(&pid, command->argv[0], NULL, NULL, command->argv, environ);
    if (!problem) waitpid(pid, &status, 0);
    double end = microseconds();
    if (problem || status) {
        fprintf(stderr, "interleave: %s: %s, status %#x\n", command->name, strerror(problem), status);
        exit(1);
    }
    return end - start;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(struct command *command, int count) {
    double sum = 0, squares = 0;
    for (int i = 0; i < count; i++) sum += command->times[i];
    double mean = sum / count;
    for (int i = 0; i < count; i++) squares += (command->times[i] - mean) * (command->times[i] - mean);
    qsort(command->times, count, sizeof(double), ascending);
    double median = (command->times[(count - 1) / 2] + command->times[count / 2]) / 2;
    printf("%s\t%.1f\t%.1f\t%.1f\t%.1f\n", command->name, median, mean, command->times[0], sqrt(squares / count));
}

int main(int argc, char **argv) {
    struct command commands[most_commands];
    int count = 0, rounds = argc > 1 ? atoi(argv[1]) : 0;
    for (int i = 2; i + 1 < argc && count < most_commands; i++) {
        commands[count] = (struct command){argv[i], argv + i + 1, calloc(rounds > 0 ? rounds : 1, sizeof(double))};
        while (i < argc && strcmp(argv[i], ":::")) i++;
        argv[i] = NULL;
        count++;
    }
    if (rounds < 1 || !count) {
        fputs("usage: interleave ROUNDS NAME COMMAND [ARG...] [::: NAME COMMAND [ARG...]]...\n", stderr);
        return 100;
    }
    srandom((unsigned)time(NULL));
    for (int round = -(rounds / 10) - 1; round < rounds; round++) {
        int order[most_commands];
        for (int i = 0; i < count; i++) {
            int j = (int)(random() % (i + 1));
            order[i] = order[j];
            order[j] = i;
        }
        for (int i = 0; i < count; i++) {
            double time = run(&commands[order[i]]);
            if (round >= 0) commands[order[i]].times[round] = time;
        }
    }
    for (int i = 0; i < count; i++) report(&commands[i], rounds);
    return 0;
}
