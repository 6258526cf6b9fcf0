/*
 * serve - sends and takes files, the way that it is told to, a blocking thread for each
 * connection.
 *
 *     serve download read+send|sendfile DIRECTORY
 *     serve upload recv+write|splice DIRECTORY
 *
 * An upload's receipt is that the server closes. See common.h for the messages.
 */
#include "common.h"

#include <endian.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>

#include <sys/stat.h>

static move_fn *move;
static int root;

static void
send_file(int fd, const struct request *request)
{
	int file = openat(root, request->name, O_RDONLY | O_CLOEXEC);
	struct stat st;
	uint64_t size;

	if (file < 0 || fstat(file, &st) != 0)
		die(request->name);
	size = htobe64((uint64_t)st.st_size);
	write_all(fd, &size, sizeof(size));
	move(file, fd, (uint64_t)st.st_size);
	close(file);
}

static void
take_file(int fd, const struct request *request)
{
	uint64_t size = be64toh(request->size);
	int file = create_file(root, request->name, size);

	move(fd, file, size);
	close(file);
}

static void (*answer)(int fd, const struct request *request);

static void *
connection(void *arg)
{
	int fd = (int)(intptr_t)arg;
	struct request request;

	read_all(fd, &request, sizeof(request));
	request.name[NAME_SIZE - 1] = '\0';
	answer(fd, &request);
	close(fd);
	return NULL;
}

int
main(int argc, char **argv)
{
	int listener;

	if (argc != 4 || (strcmp(argv[1], "download") != 0 && strcmp(argv[1], "upload") != 0)) {
		fputs("usage: serve download|upload HOW DIRECTORY\n", stderr);
		return 64;
	}
	answer = strcmp(argv[1], "download") == 0 ? send_file : take_file;
	move = move_by_name(argv[2]);
	root = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		die(argv[3]);
	signal(SIGPIPE, SIG_IGN);
	listener = listen_somewhere(0);
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		pthread_t thread;

		if (fd < 0)
			die("accept");
		errno = pthread_create(&thread, NULL, connection, (void *)(intptr_t)fd);
		if (errno)
			die("thread");
		pthread_detach(thread);
	}
}
