/*
 * record_probe.c - each call that is recorded, made once or twice in the directory that is given,
 * also those that the store does not make (yet). Where they led is looked at by powercut, which
 * plays the trace. With a second argument: a system call that the recorder does not know.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>
#ifdef HAVE_LINUX_OPENAT2_H
#include <linux/openat2.h>
#endif

#define TEXT "0123456789abcdefghijklmnopqrstuvwxyz"

/* Ends the program where the call says -1. */
#define DO(call)                       \
	do {                           \
		if ((call) == -1)      \
			err(1, #call); \
	} while (0)

/* Likewise, but for what a system or a file system need not have. */
#define TRY(call)                                                                                \
	do {                                                                                     \
		if ((call) == -1 && errno != EOPNOTSUPP && errno != ENOSYS && errno != EINVAL && \
		    errno != EXDEV)                                                              \
			err(1, #call);                                                           \
	} while (0)

static int
make(int dir, const char *name, int flags)
{
	int fd = openat(dir, name, flags | O_CREAT | O_RDWR | O_CLOEXEC, 0600);

	if (fd < 0)
		err(1, "%s", name);
	return fd;
}

static void
write_in_all_ways(int dir)
{
	char text[] = TEXT;
	struct iovec two[2] = { { text, 5 }, { text + 10, 7 } };
	int fd = make(dir, "written", O_EXCL);

	DO(write(fd, TEXT, 20));
	DO(writev(fd, two, 2));
	DO(pwrite(fd, "pwrite", 6, 3));
	DO(pwritev(fd, two, 2, 600));
	DO(ftruncate(fd, 700));
	TRY(fallocate(fd, 0, 650, 100));
	TRY(fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, 10000));
	DO(fchmod(fd, 0644));
	DO(futimens(fd, NULL));
	TRY(fsetxattr(fd, "user.ftxferd.digest", "x", 1, 0));
	DO(fdatasync(fd));
	DO(close(fd));
	fd = make(dir, "written", O_APPEND);
	DO(write(fd, "the end", 7));
	DO(fsync(fd));
	DO(close(fd));
	fd = make(dir, "cut", 0);
	DO(write(fd, TEXT, 36));
	DO(close(make(dir, "cut", O_TRUNC)));
	DO(write(fd, "again", 5)); /* behind a hole */
	DO(close(fd));
}

static void
move_in_all_ways(int dir)
{
	int from = make(dir, "from", 0), to = make(dir, "to", 0), pipes[2];
	off64_t at = 50;

	DO(write(from, TEXT, 36));
	DO(lseek(from, 2, SEEK_SET));
	DO(sendfile(to, from, NULL, 10));
	TRY(copy_file_range(from, NULL, to, NULL, 8, 0));
	TRY(copy_file_range(from, NULL, to, &at, 5, 0));
	DO(pipe2(pipes, O_CLOEXEC));
	DO(write(pipes[1], TEXT, 30));
	DO(splice(pipes[0], NULL, to, NULL, 12, 0));
	DO(splice(pipes[0], NULL, to, &at, 18, 0));
	DO(sync_file_range(to, 0, 0, SYNC_FILE_RANGE_WRITE));
	DO(syncfs(to));
	DO(close(from));
	DO(close(to));
}

static void
name_in_all_ways(int dir)
{
	int fd = openat(dir, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	char proc[64];

	DO(mkdirat(dir, "sub", 0755));
	DO(mkdirat(dir, "gone", 0755));
	DO(close(make(dir, "a", 0)));
	DO(close(make(dir, "b", 0)));
	DO(renameat(dir, "a", dir, "b"));
	if (renameat2(dir, "b", dir, "sub/c", RENAME_NOREPLACE) != 0)
		DO(renameat(dir, "b", dir, "sub/c"));
	DO(linkat(dir, "sub/c", dir, "linked", 0));
	DO(unlinkat(dir, "sub/c", 0));
	DO(unlinkat(dir, "gone", AT_REMOVEDIR));
	if (fd >= 0) {
		snprintf(proc, sizeof(proc), "/proc/self/fd/%d", fd);
		DO(write(fd, TEXT, 9));
		DO(linkat(AT_FDCWD, proc, dir, "sub/unnamed", AT_SYMLINK_FOLLOW));
		DO(close(fd));
	}
	DO(fsync(dir));
}

static void
open_by_number(int dir)
{
#if defined(HAVE_LINUX_OPENAT2_H) && defined(SYS_openat2)
	struct open_how how = { .flags = O_CREAT | O_WRONLY | O_CLOEXEC, .mode = 0640 };
	int fd = (int)syscall(SYS_openat2, dir, "numbered", &how, sizeof(how));

	if (fd < 0)
		return; /* this kernel has none */
	DO(write(fd, TEXT, 3));
	DO(close(fd));
#else
	(void)dir;
#endif
}

int
main(int argc, char **argv)
{
	int dir = argc > 1 ? open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (dir < 0)
		err(2, "usage: record_probe DIRECTORY [strange]");
	write_in_all_ways(dir);
	move_in_all_ways(dir);
	name_in_all_ways(dir);
	open_by_number(dir);
	if (argc > 2)
		DO(syscall(SYS_getppid));
	DO(close(dir));
	return 0;
}
