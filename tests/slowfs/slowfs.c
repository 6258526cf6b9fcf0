/*
 * slowfs - a slow disk: a file system (FUSE) that passes a directory through, and moves its
 * content no faster than it is told to.
 *
 *     slowfs [-w RATE] [-r RATE] [-s MILLISECONDS] [-t] [-d SIZE] DIRECTORY MOUNTPOINT
 *
 * -w  bytes a second that are written (64M)
 * -r  bytes a second that are read (0: as fast as can be)
 * -s  what fsync(2) of a file takes besides (0); those that wait at the same time are one
 * -t  write-through: each write(2) waits for the disk
 * -d  how many dirty bytes the kernel may keep for it, where sysfs lets us say so (as root)
 *
 * Without -t it is as with other disks: write(2) only makes dirty pages, the kernel writes them
 * back in its own time, and lets nobody make more of them when they are too many. That is soon:
 * unless told by -d, FUSE may have 1 % of all dirty pages.
 * close(2) waits for what was written, as it does on no other disk: the kernel wants it so of FUSE.
 * Content that was read or written stays in the kernel's cache. Names, attributes, space,
 * fallocate(2) and fsync(2) of directories are as fast as the directory, which must not be changed
 * but through the mount.
 * There are no O_TMPFILE, links by name, device files, or extended attributes.
 *
 * It says "ready" when it is mounted, and then obeys orders on standard input, a line each:
 *     hold KIND       no write (read, sync) is served any more
 *     release KIND    they go on
 *     count           nothing
 * The answer is a line with, for each kind, how many requests wait and how many are done.
 * Its input's end ends it, and unmounts: what was not synced may be lost, as with any disk that is
 * pulled out. Exit 77: not permitted here, or not possible.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sysexits.h>
#include <unistd.h>

#include "slowfs/passthrough.h"

#define SKIP 77

struct plan {
	struct disk_speed speed;
	bool write_through;
	uint64_t dirty; /* 0: as the kernel thinks */
	char *dir;      /* borrowed from the arguments, as is the next */
	char *where;
};

static void
usage(void)
{
	fputs("usage: slowfs [-w RATE] [-r RATE] [-s MILLISECONDS] [-t] [-d SIZE] DIRECTORY "
	      "MOUNTPOINT\n",
	    stderr);
	exit(EX_USAGE);
}

/* With k, M or G behind it, or not. */
static uint64_t
size_of(const char *text)
{
	char *end;
	unsigned long long n = strtoull(text, &end, 10);
	int shift = *end == 'k' ? 10 : *end == 'M' ? 20 : *end == 'G' ? 30 : 0;

	if (end == text || end[shift > 0] != '\0')
		usage();
	return (uint64_t)n << shift;
}

static struct plan
parse(int argc, char **argv)
{
	struct plan plan = { .speed = { .write_rate = 64 << 20 } };
	int c;

	while ((c = getopt(argc, argv, "w:r:s:td:")) != -1) {
		switch (c) {
		case 'w':
			plan.speed.write_rate = size_of(optarg);
			break;
		case 'r':
			plan.speed.read_rate = size_of(optarg);
			break;
		case 's':
			plan.speed.sync_ns = size_of(optarg) * 1000 * 1000;
			break;
		case 't':
			plan.write_through = true;
			break;
		case 'd':
			plan.dirty = size_of(optarg);
			break;
		default:
			usage();
		}
	}
	if (argc - optind != 2)
		usage();
	plan.dir = argv[optind];
	plan.where = argv[optind + 1];
	return plan;
}

/* Each file that the kernel knows costs us a descriptor. */
static void
raise_descriptors(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void
write_knob(const char *device, const char *name, uint64_t value)
{
	char path[128];
	FILE *file;

	snprintf(path, sizeof(path), "/sys/class/bdi/%s/%s", device, name);
	file = fopen(path, "we");
	if (file == NULL || fprintf(file, "%llu\n", (unsigned long long)value) < 0)
		fprintf(stderr, "slowfs: %s: %s\n", path, strerror(errno));
	if (file != NULL && fclose(file) != 0)
		fprintf(stderr, "slowfs: %s: %s\n", path, strerror(errno));
}

/* Found in the list of mounts: to look at the mount itself would ask us, who do not answer yet. */
static void
set_dirty(const struct plan *plan)
{
	FILE *mounts = fopen("/proc/self/mountinfo", "re");
	char line[4096], device[32], found[32] = "", at[2048];

	if (mounts == NULL)
		return;
	while (fgets(line, sizeof(line), mounts) != NULL) {
		if (sscanf(line, "%*s %*s %31s %*s %2047s", device, at) == 2 &&
		    strcmp(at, plan->where) == 0)
			strcpy(found, device);
	}
	fclose(mounts);
	write_knob(found, "max_ratio", 100);
	write_knob(found, "strict_limit", 1);
	write_knob(found, "max_bytes", plan->dirty);
}

static void
obey(struct disk *disk, char *order)
{
	char *what = strtok(order, " \n");
	char *name = strtok(NULL, " \n");
	enum disk_kind kind = name != NULL ? disk_kind_of(name) : DISK_KIND_COUNT;

	if (what != NULL && strcmp(what, "hold") == 0 && kind != DISK_KIND_COUNT)
		disk_set_held(disk, kind, true);
	else if (what != NULL && strcmp(what, "release") == 0 && kind != DISK_KIND_COUNT)
		disk_set_held(disk, kind, false);
	else if (what == NULL || strcmp(what, "count") != 0) {
		puts("what?");
		fflush(stdout);
		return;
	}
	disk_print(disk, stdout);
}

/* Reads what is there; whole lines are obeyed. False: standard input has ended. */
static bool
obey_input(struct disk *disk)
{
	static char line[256];
	static size_t len;
	ssize_t n = read(STDIN_FILENO, line + len, sizeof(line) - 1 - len);
	char *end;

	if (n <= 0)
		return n < 0 && (errno == EINTR || errno == EAGAIN);
	len += (size_t)n;
	line[len] = '\0';
	while ((end = strchr(line, '\n')) != NULL) {
		size_t used = (size_t)(end + 1 - line);

		*end = '\0';
		obey(disk, line);
		len -= used;
		memmove(line, line + used, len + 1);
	}
	return len < sizeof(line) - 1;
}

static void
serve(struct fuse_session *session, struct disk *disk)
{
	struct fuse_buf buf = { .mem = NULL };
	struct pollfd fds[2] = {
		{ .fd = fuse_session_fd(session), .events = POLLIN },
		{ .fd = STDIN_FILENO, .events = POLLIN },
	};

	fcntl(fds[0].fd, F_SETFL, fcntl(fds[0].fd, F_GETFL) | O_NONBLOCK);
	while (!fuse_session_exited(session)) {
		if (poll(fds, 2, -1) < 0 && errno != EINTR)
			break;
		if (fds[1].revents != 0 && !obey_input(disk))
			break;
		if (fds[0].revents != 0) {
			int n = fuse_session_receive_buf(session, &buf);

			if (n > 0)
				fuse_session_process_buf(session, &buf);
			else if (n != -EAGAIN && n != -EINTR)
				break;
		}
	}
	free(buf.mem);
}

int
main(int argc, char **argv)
{
	struct plan plan = parse(argc, argv);
	char *mount_argv[] = { argv[0], "-o", "fsname=slowfs,default_permissions", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, mount_argv);
	struct passthrough p = { .write_through = plan.write_through };
	struct fuse_session *session;

	umask(0); /* the kernel has applied the caller's */
	signal(SIGPIPE, SIG_IGN);
	raise_descriptors();
	p.inodes = inode_table_new(plan.dir);
	if (p.inodes == NULL) {
		fprintf(stderr, "slowfs: %s: %s\n", plan.dir, strerror(errno));
		return EX_NOINPUT;
	}
	p.disk = disk_new(&plan.speed);
	session = fuse_session_new(&args, &passthrough_ops, sizeof(passthrough_ops), &p);
	if (p.disk == NULL || session == NULL)
		return EX_OSERR;
	if (fuse_session_mount(session, plan.where) != 0)
		return SKIP;
	if (plan.dirty > 0)
		set_dirty(&plan);
	puts("ready");
	fflush(stdout);
	serve(session, p.disk);
	fuse_session_unmount(session);
	_exit(EX_OK); /* the queues' threads may be at work */
}
