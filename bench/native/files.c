/*
 * files - the least that both ends can do for many small files, whole or not at all.
 *
 *     files send DIRECTORY NAME
 *     files receive DIRECTORY
 *
 * send writes the directory NAME to standard output: of each file a header, its name, its content.
 * receive reads that from standard input, and does for each file what a server cannot do without
 * that shows nobody half a file, and keeps a digest with it: a file without a name, its content, an
 * extended attribute, its time, and the name last. No digest is made, nothing is answered, nothing
 * looked at or logged. Linux: the file system must have O_TMPFILE.
 */
#include "common.h"

#include <dirent.h>
#include <errno.h>

#include <sys/stat.h>
#include <sys/xattr.h>

#define FILE_MAX      (1 << 20)
#define ATTR_NAME     "user.ftxfer.reference"
#define ATTR_SIZE     64 /* about what a stored digest takes */
#define STREAM_BUFFER (128 << 10)

struct header {
	uint32_t name_len; /* 0: the end */
	uint32_t mode;
	uint64_t size;
	struct timespec mtime;
};

static void
put(const void *p, size_t size)
{
	if (fwrite(p, 1, size, stdout) != size)
		die("standard output");
}

static void
get(void *p, size_t size)
{
	if (fread(p, 1, size, stdin) != size)
		die("standard input");
}

static void
send_file(int dir, const char *name, uint32_t name_len)
{
	static char content[FILE_MAX];
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct header header = { .name_len = name_len };
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) != 0)
		die(name);
	n = read(fd, content, sizeof(content));
	if (n != st.st_size)
		die(name);
	close(fd);
	header.mode = st.st_mode & 07777;
	header.size = (uint64_t)n;
	header.mtime = st.st_mtim;
	put(&header, sizeof(header));
	put(name, name_len);
	put(content, (size_t)n);
}

static void
send_all(const char *path, const char *name)
{
	static const struct header end;
	int where = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int dir = openat(where, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct header header = { .name_len = (uint32_t)strlen(name), .mode = 0755 };
	const struct dirent *e;
	DIR *list;

	if (where < 0 || dir < 0)
		die(name);
	put(&header, sizeof(header));
	put(name, header.name_len);
	list = fdopendir(dir);
	if (!list)
		die(name);
	while ((e = readdir(list))) {
		if (e->d_name[0] != '.')
			send_file(dir, e->d_name, (uint32_t)strlen(e->d_name));
	}
	closedir(list);
	put(&end, sizeof(end));
	if (fflush(stdout) != 0)
		die("standard output");
}

static void
receive_file(int dir, const char *name, const struct header *header)
{
	static char content[FILE_MAX];
	static const char attr[ATTR_SIZE];
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, header->mtime };
	int fd;

	if (header->size > sizeof(content))
		die(name);
	get(content, (size_t)header->size);
	fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, (mode_t)header->mode);
	if (fd < 0 || write(fd, content, (size_t)header->size) != (ssize_t)header->size)
		die(name);
	if (fsetxattr(fd, ATTR_NAME, attr, sizeof(attr), 0) != 0 && errno != EOPNOTSUPP)
		die(name);
	if (futimens(fd, times) != 0 || linkat(fd, "", dir, name, AT_EMPTY_PATH) != 0)
		die(name);
	close(fd);
}

static int
get_name(char *name, size_t size, struct header *header)
{
	get(header, sizeof(*header));
	if (header->name_len >= size)
		die("a name");
	get(name, header->name_len);
	name[header->name_len] = '\0';
	return header->name_len > 0;
}

static void
receive_all(const char *path)
{
	int where = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), dir;
	struct header header;
	char name[256];

	(void)get_name(name, sizeof(name), &header);
	if (where < 0 || mkdirat(where, name, (mode_t)header.mode) != 0)
		die(name);
	dir = openat(where, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		die(name);
	while (get_name(name, sizeof(name), &header))
		receive_file(dir, name, &header);
}

int
main(int argc, char **argv)
{
	setvbuf(stdin, NULL, _IOFBF, STREAM_BUFFER);
	setvbuf(stdout, NULL, _IOFBF, STREAM_BUFFER);
	if (argc == 4 && strcmp(argv[1], "send") == 0)
		send_all(argv[2], argv[3]);
	else if (argc == 3 && strcmp(argv[1], "receive") == 0)
		receive_all(argv[2]);
	else {
		fputs("usage: files send DIRECTORY NAME | files receive DIRECTORY\n", stderr);
		return 64;
	}
	return 0;
}
