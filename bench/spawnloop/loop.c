/*
 * The fastest plain way to run N processes: W workers, each starting one with posix_spawn in a
 * session of its own and waiting for it, over and over. The yardstick of the benchmarks.
 *
 * usage: loop WORKERS N PROGRAM   prints the seconds it took
 */
#define _GNU_SOURCE
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

static void die(const char *what, int err)
{
	fprintf(stderr, "loop: %s: %s\n", what, strerror(err));
	exit(1);
}

static void work(int n, char *program)
{
	posix_spawnattr_t attr;
	char *argv[] = {program, NULL};

	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSID);
	for (int i = 0; i < n; i++) {
		pid_t pid;
		int status;
		int err = posix_spawn(&pid, program, NULL, &attr, argv, environ);
		if (err)
			die("posix_spawn", err);
		if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
			die("the program failed", 0);
	}
}

int main(int argc, char **argv)
{
	struct timespec begin, end;

	if (argc != 4) {
		fprintf(stderr, "usage: loop WORKERS N PROGRAM\n");
		return 2;
	}
	int workers = atoi(argv[1]), n = atoi(argv[2]);
	if (workers < 1 || n < workers)
		return 2;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	/* Workers are processes: threads would share one address space and its locks. */
	for (int w = 0; w < workers; w++) {
		pid_t pid = fork();
		if (pid < 0)
			die("fork", 0);
		if (pid == 0) {
			work(n / workers + (w < n % workers), argv[3]);
			exit(0);
		}
	}
	for (int w = 0; w < workers; w++) {
		int status;
		if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
			die("a worker failed", 0);
	}
	clock_gettime(CLOCK_MONOTONIC, &end);
	printf("%.6f\n", end.tv_sec - begin.tv_sec + (end.tv_nsec - begin.tv_nsec) / 1e9);
	return 0;
}
