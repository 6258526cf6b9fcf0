#include "store/commit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#ifdef HAVE_SYS_VFS_H
#include <sys/vfs.h>
#endif
#include <unistd.h>

#include "base/clock.h"
#include "store/root.h"
#include "store/stage.h"
#include "store/stage_dir.h"
#include "store/uploads.h"

/*
 * syncfs(2) writes all that waits on a file system, whosever it is. So it is only called while
 * little content of our own uploads waits besides; and where it took long, since somebody else
 * writes there, not again for so many times as long. Long is more than what waited takes on a slow
 * disk, a memory card's.
 */
#define UNSYNCED_MAX  ((uint64_t)32 * 1024 * 1024)
#define SLOW_MS       200
#define SLOW_MS_BYTES ((uint64_t)16 * 1024) /* in each millisecond */
#define PAUSE_FACTOR  50

/* Not now: too much would be written besides, or was lately. */
static bool
syncfs_is_dear(const struct root *r, uint64_t now)
{
	return atomic_load(&r->unsynced) > UNSYNCED_MAX || now < atomic_load(&r->syncfs_next);
}

bool
commit_may_join(const struct root *r, bool sound, uint64_t size)
{
	return sound && size <= COMMIT_SMALL_MAX && !syncfs_is_dear(r, clock_now_ms());
}

#if defined HAVE_SYNCFS && defined HAVE_SYNC_FILE_RANGE && defined HAVE_SYS_VFS_H

/* statfs(2). ext3 has that number, too, and ext2, which promises nothing after a crash anyway. */
#define TYPE_EXT4 0xef53
#define TYPE_XFS  0x58465342

/*
 * There it writes the log, and has the disk empty its cache. Of file systems behind a network or
 * FUSE that is not so: they do not pass it on.
 */
bool
commit_is_sound(int fd)
{
	struct statfs st;

	return fstatfs(fd, &st) == 0 && (st.f_type == TYPE_EXT4 || st.f_type == TYPE_XFS);
}

/*
 * Makes durable what is on the file system of fd. False: it is not known to be; each file's own
 * fsync(2) will tell.
 */
static bool
sync_file_system(struct root *r, int fd)
{
	uint64_t begin = clock_now_ms(), took;
	uint64_t own = (atomic_load(&r->together) + atomic_load(&r->unsynced)) / SLOW_MS_BYTES;
	bool ok;

	if (syncfs_is_dear(r, begin))
		return false;
	ok = syncfs(fd) == 0;
	took = clock_now_ms() - begin;
	if (took > SLOW_MS + own)
		atomic_store(&r->syncfs_next, begin + took * (PAUSE_FACTOR + 1));
	return ok;
}

#else

bool
commit_is_sound(int fd)
{
	(void)fd;
	return false;
}

static bool
sync_file_system(struct root *r, int fd)
{
	(void)r;
	(void)fd;
	return false;
}

#endif

/* The attributes, and which of them have a file system or a directory in common. */
static void
prepare(struct commit *c)
{
	c->alone = !c->sound;
	c->synced = !root_syncs(c->stage->root);
	c->named = c->recorded = false;
	c->rc = stage_set_attrs(c->stage);
	c->dev = c->stage->st.st_dev;
}

/* Both wait for the same file system. */
static bool
goes_with(const struct commit *c, const struct commit *first)
{
	return c->rc == FTX_OK && !c->synced && !c->alone && c->dev == first->dev;
}

/*
 * All from `first` on that are on its file system, where there are enough of them. written: what is
 * known of their uploads is in its file.
 */
static void
sync_together(struct commit *first, bool written)
{
	unsigned n = 0;
	struct commit *c;
	struct root *r = first->stage->root;
	bool ok, records;

	for (c = first; c != NULL; c = STAILQ_NEXT(c, link))
		n += goes_with(c, first) ? 1 : 0;
	ok = n >= COMMIT_BATCH_MIN && sync_file_system(r, first->stage->fd);
	records = ok && written && uploads_are_durable(r->uploads, first->dev);
	for (c = first; c != NULL; c = STAILQ_NEXT(c, link)) {
		if (!goes_with(c, first))
			continue;
		if (ok) {
			c->synced = true;
			c->recorded = records;
			c->rc = root_look_for_error(c->stage->fd);
		} else if (c != first)
			c->alone = true; /* last, since the others are compared with it */
	}
	first->alone = !ok;
}

static void
sync_contents(struct commit_list *list, bool written)
{
	struct commit *c;

	for (c = STAILQ_FIRST(list); c != NULL; c = STAILQ_NEXT(c, link)) {
		if (c->rc != FTX_OK || c->synced)
			continue;
		if (!c->alone)
			sync_together(c, written);
		if (c->alone)
			c->rc = stage_sync(c->stage);
	}
}

static bool
same_directory(const struct commit *a, const struct commit *b)
{
	const struct stage_dir *d = a->stage->dir, *e = b->stage->dir;

	return d == e || (d->ino != 0 && d->ino == e->ino && d->dev == e->dev);
}

/*
 * One descriptor tells of errors for all: each was opened before any of these names were given, and
 * hears of all that went wrong since then.
 */
static void
sync_directories(struct commit_list *list)
{
	struct commit *c, *d;

	for (c = STAILQ_FIRST(list); c != NULL; c = STAILQ_NEXT(c, link)) {
		enum ftx_rc rc;

		if (!c->named)
			continue;
		rc = root_sync_names(c->stage->root, c->stage->dir_fd);
		for (d = c; d != NULL; d = STAILQ_NEXT(d, link)) {
			if (!d->named || !same_directory(d, c))
				continue;
			d->rc = stage_dir_synced(d->stage, rc);
			if (d != c)
				d->named = false; /* it is done with */
		}
		c->named = false;
	}
}

static bool
needs_settling(const struct commit *c)
{
	return c->rc == FTX_OK && stage_needs_settling(c->stage);
}

/* They are ready, or about to be. False: what is known of uploads is not all in its file. */
static bool
record_all(struct commit_list *list)
{
	struct root *r = NULL;
	struct commit *c;

	STAILQ_FOREACH (c, list, link) {
		/* cppcheck-suppress uninitvar; STAILQ_FOREACH sets it */
		if (c->rc == FTX_OK)
			c->rc = stage_record(c->stage);
		if (needs_settling(c))
			r = c->stage->root;
	}
	return r != NULL && uploads_write(r->uploads) == FTX_OK;
}

/* What is known of uploads is durable before the first name is given. */
static void
settle_all(struct commit_list *list)
{
	struct root *r = NULL;
	enum ftx_rc rc;
	struct commit *c;

	STAILQ_FOREACH (c, list, link) {
		/* cppcheck-suppress uninitvar; likewise */
		if (needs_settling(c) && !c->recorded)
			r = c->stage->root;
	}
	if (r == NULL)
		return;
	rc = uploads_settle(r->uploads);
	STAILQ_FOREACH (c, list, link) {
		if (needs_settling(c) && !c->recorded)
			c->rc = rc;
	}
}

static void
note_all(struct commit_list *list)
{
	struct uploads *u = NULL;
	struct commit *c;

	STAILQ_FOREACH (c, list, link) {
		/* cppcheck-suppress uninitvar; likewise */
		if (c->rc != FTX_OK || c->stage->upload == NULL)
			continue;
		stage_note_published(c->stage);
		u = c->stage->root->uploads;
	}
	if (u != NULL)
		uploads_note(u);
}

void
commit_all(struct commit_list *list)
{
	struct commit *c;
	bool written;

	for (c = STAILQ_FIRST(list); c != NULL; c = STAILQ_NEXT(c, link))
		prepare(c);
	written = record_all(list);
	sync_contents(list, written);
	settle_all(list);
	for (c = STAILQ_FIRST(list); c != NULL; c = STAILQ_NEXT(c, link)) {
		if (c->rc == FTX_OK)
			c->rc = stage_give_name(c->stage, c->cancelled);
		c->named = c->rc == FTX_OK;
	}
	sync_directories(list);
	note_all(list);
	for (c = STAILQ_FIRST(list); c != NULL; c = STAILQ_NEXT(c, link))
		stage_discard(c->stage);
}
