/*
 * keep - runs a server, and waits for every process that comes from it, also for those whose own
 * parent ends first: their CPU time is then in what keep has waited for, and not lost.
 *
 *     keep PROGRAM ARGUMENT...
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include <sys/prctl.h>
#include <sys/wait.h>

int
main(int argc, char **argv)
{
	pid_t server, pid;
	int status = 0;

	if (argc < 2) {
		fputs("usage: keep PROGRAM ARGUMENT...\n", stderr);
		return 64;
	}
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || (server = fork()) < 0) {
		perror("keep");
		return 1;
	}
	if (server == 0) {
		execv(argv[1], argv + 1);
		perror(argv[1]);
		_exit(127);
	}
	do
		pid = wait(&status);
	while (pid != server && (pid > 0 || errno == EINTR));
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
