/*
 * flush - makes all files of a directory durable, so many at a time.
 *
 *     flush DIRECTORY THREADS
 *
 * fsync(2) of each file, by whichever thread is free; of the directories, from below, at the end.
 */
#include "common.h"

#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>

#include <sys/stat.h>

#define THREADS_MAX 256
#define DEPTH       64 /* directories that are open at a time */

struct list {
	char **names;
	size_t count, room;
};

static struct list files, directories;
static atomic_size_t next;

static int
add(const char *name, const struct stat *st, int kind, struct FTW *at)
{
	struct list *list = kind == FTW_DP ? &directories : &files;
	char *copy;

	(void)st;
	(void)at;
	if (list->count == list->room) {
		size_t room = list->room > 0 ? 2 * list->room : 1024;
		char **names = realloc(list->names, room * sizeof(*names));

		if (!names)
			die("realloc");
		list->names = names;
		list->room = room;
	}
	copy = strdup(name);
	if (!copy)
		die("strdup");
	list->names[list->count++] = copy;
	return 0;
}

static void
sync_one(const char *name)
{
	int fd = open(name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || fsync(fd) != 0)
		die(name);
	close(fd);
}

static void *
sync_some(void *unused)
{
	size_t i;

	while ((i = atomic_fetch_add(&next, 1)) < files.count)
		sync_one(files.names[i]);
	return unused;
}

int
main(int argc, char **argv)
{
	int count = argc == 3 ? atoi(argv[2]) : 0;
	pthread_t threads[THREADS_MAX];

	if (count < 1 || count > THREADS_MAX) {
		fputs("usage: flush DIRECTORY THREADS\n", stderr);
		return 64;
	}
	if (nftw(argv[1], add, DEPTH, FTW_PHYS | FTW_DEPTH) != 0)
		die(argv[1]);
	for (int i = 0; i < count; i++) {
		if (pthread_create(&threads[i], NULL, sync_some, NULL) != 0)
			die("pthread_create");
	}
	for (int i = 0; i < count; i++)
		pthread_join(threads[i], NULL);
	for (size_t i = 0; i < directories.count; i++)
		sync_one(directories.names[i]);
	return 0;
}
