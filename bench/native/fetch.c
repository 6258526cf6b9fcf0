/*
 * fetch - the client of serve.
 *
 *     fetch download recv+write|splice PORT NAME FILE
 *     fetch upload read+send|sendfile PORT NAME FILE
 */
#include "common.h"

#include <endian.h>
#include <errno.h>

#include <sys/stat.h>

static void
download(int fd, const struct request *request, const char *path, move_fn *move)
{
	uint64_t size;
	int file;

	write_all(fd, request, sizeof(*request));
	read_all(fd, &size, sizeof(size));
	size = be64toh(size);
	file = create_file(AT_FDCWD, path, size);
	move(fd, file, size);
	close(file);
}

static void
upload(int fd, struct request *request, const char *path, move_fn *move)
{
	int file = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char more;

	if (file < 0 || fstat(file, &st) != 0)
		die(path);
	request->size = htobe64((uint64_t)st.st_size);
	write_all(fd, request, sizeof(*request));
	move(file, fd, (uint64_t)st.st_size);
	errno = 0;
	if (read(fd, &more, 1) != 0)
		die("the server has not taken the file");
}

int
main(int argc, char **argv)
{
	struct request request = { .size = 0 };
	move_fn *move;
	int fd;

	if (argc != 6 || strlen(argv[4]) >= NAME_SIZE) {
		fputs("usage: fetch download|upload HOW PORT NAME FILE\n", stderr);
		return 64;
	}
	memcpy(request.name, argv[4], strlen(argv[4]));
	move = move_by_name(argv[2]);
	fd = connect_to(argv[3]);
	if (strcmp(argv[1], "download") == 0)
		download(fd, &request, argv[5], move);
	else
		upload(fd, &request, argv[5], move);
	return 0;
}
