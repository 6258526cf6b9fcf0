/*
 * A stage that is found again by the name that its file shall have. It lies beside it, and belongs
 * to whoever has the lock (flock(2)) on it, which ends with its process at the latest. Nobody keeps
 * a list of them: the next one of that name goes on with it, or takes its place, and those that
 * nobody came back for go when another one is made in their directory.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/path.h"
#include "store/stage_private.h"

#define PART_SECONDS ((time_t)7 * 24 * 3600) /* without a write */
#define PART_FLAGS   (O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
#define PART_TRIES   2

/* A name may have 255 bytes, so its own cannot be made longer. */
static bool
make_name(const char *leaf, char *name, size_t size)
{
	char hex[DIGEST_HEX_SIZE];
	struct digest_value v;
	struct digest d;
	bool ok;

	if (digest_init(&d, DIGEST_XXH128) != FTX_OK)
		return false;
	ok = digest_update(&d, leaf, strlen(leaf)) == FTX_OK;
	ok = digest_final(&d, &v) == FTX_OK && ok;
	return ok && snprintf(name, size, PATH_PART_PREFIX "%s", digest_hex(&v, hex)) < (int)size;
}

/* In a directory for everybody, anybody may have put it there, to change what will be published. */
static bool
is_mine(const struct stat *st)
{
	return S_ISREG(st->st_mode) && st->st_uid == geteuid() && st->st_nlink == 1 &&
	       (st->st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

/*
 * Takes it, if nobody else has it. Until then it may have been published, or removed, by who had
 * it: then the name leads elsewhere (FTX_CHANGED).
 */
static enum ftx_rc
take(int dir_fd, const char *name, int fd, struct stat *st)
{
	struct stat there;

	if (fstat(fd, st) != 0 || !is_mine(st))
		return FTX_ACCESS;
	if (flock(fd, LOCK_EX | LOCK_NB) != 0)
		return FTX_BUSY;
	if (fstat(fd, st) != 0 || !is_mine(st) ||
	    fstatat(dir_fd, name, &there, AT_SYMLINK_NOFOLLOW) != 0 || there.st_dev != st->st_dev ||
	    there.st_ino != st->st_ino)
		return FTX_CHANGED;
	return FTX_OK;
}

/* --- Those that nobody came back for --- */

static void
remove_if_old(int dir_fd, const char *name)
{
	time_t before = time(NULL) - PART_SECONDS;
	struct stat st;
	int fd;

	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !is_mine(&st) ||
	    st.st_mtime >= before)
		return;
	fd = openat(dir_fd, name, PART_FLAGS);
	if (fd < 0)
		return;
	if (take(dir_fd, name, fd, &st) == FTX_OK && st.st_mtime < before)
		(void)unlinkat(dir_fd, name, 0);
	close(fd);
}

static void
remove_old(int dir_fd)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *entry;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has it */
	while ((entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, PATH_PART_PREFIX, sizeof(PATH_PART_PREFIX) - 1) == 0)
			remove_if_old(dir_fd, entry->d_name);
	}
	closedir(dir);
}

/* Where many files come into one directory, it is looked through once. */
static bool
is_next_directory(struct root *r, int dir_fd)
{
	struct stat st;
	bool next;

	if (fstat(dir_fd, &st) != 0)
		return false;
	pthread_mutex_lock(&r->lock);
	next = r->parts_dev != st.st_dev || r->parts_ino != st.st_ino;
	r->parts_dev = st.st_dev;
	r->parts_ino = st.st_ino;
	pthread_mutex_unlock(&r->lock);
	return next;
}

/* --- One of them --- */

static enum ftx_rc
open_one(struct stage *s, const char *name, bool make, struct stat *st)
{
	enum ftx_rc rc;
	int fd = openat(s->dir_fd, name, PART_FLAGS | (make ? O_CREAT : 0), 0600);

	if (fd < 0)
		return ftx_rc_from_errno(errno);
	rc = take(s->dir_fd, name, fd, st);
	if (rc == FTX_OK)
		s->fd = fd;
	else
		close(fd);
	return rc;
}

enum ftx_rc
stage_open_part(struct stage *s, bool make, uint64_t *have)
{
	enum ftx_rc rc = FTX_CHANGED;
	char name[sizeof(s->temp)];
	struct stat st = { 0 };

	if (!make_name(s->leaf, name, sizeof(name)))
		return FTX_UNSUPPORTED;
	if (make && is_next_directory(s->root, s->dir_fd))
		remove_old(s->dir_fd);
	for (int i = 0; i < PART_TRIES && rc == FTX_CHANGED; i++)
		rc = open_one(s, name, make, &st);
	if (rc != FTX_OK)
		return rc;
	s->kind = STAGE_NAMED;
	s->part = true;
	memcpy(s->temp, name, sizeof(name));
	*have = (uint64_t)st.st_size;
	return FTX_OK;
}
