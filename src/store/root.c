#include "store/root.h"

#include <errno.h>
#include <fcntl.h>
#include <fts.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#if defined(HAVE_SYS_VFS_H) && defined(HAVE_LINUX_MAGIC_H)
#include <linux/magic.h>
#include <sys/vfs.h>
#define WITH_STATFS 1
#else
#define WITH_STATFS 0
#endif

#include "base/rc.h"
#include "base/log.h"
#include "store/path.h"
#include "store/uploads.h"

/*
 * Where the kernel has unnamed files (O_TMPFILE) a crash leaves nothing behind. Elsewhere stage
 * files have names, and to look for those of a dead daemon takes a walk through the whole tree. So
 * that an ordinary start is spared the walk, a mark in the state directory is made durable before
 * the first named stage of a run, and removed when none is left.
 */

/* The path of the mark, relative to the root. */
#define MARK_PATH PATH_STATE_DIR "/" ROOT_STATE_MARK

/* Not secret, only different from run to run. */
static uint64_t
run_number(void)
{
	struct timespec ts;
	uint64_t v;

	if (getrandom(&v, sizeof(v), GRND_NONBLOCK) == (ssize_t)sizeof(v))
		return v;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec << 30 ^ (uint64_t)ts.tv_nsec << 16 ^ (uint64_t)getpid();
}

/* When nobody can say, there may be one. */
static bool
may_have_mark(const struct root *r)
{
	struct stat st;

	return fstatat(r->fd, MARK_PATH, &st, AT_SYMLINK_NOFOLLOW) == 0 ||
	       (errno != ENOENT && errno != ENOTDIR);
}

/* Unless something else is in it. */
static void
remove_state_dir(const struct root *r)
{
	(void)unlinkat(r->fd, PATH_STATE_DIR, AT_REMOVEDIR);
}

static void
remove_mark(const struct root *r)
{
	if (unlinkat(r->fd, MARK_PATH, 0) == 0)
		remove_state_dir(r);
}

static bool
is_memory(int fd)
{
#if WITH_STATFS
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
#else
	(void)fd;
	return false;
#endif
}

bool
root_is_memory(const struct root *r, int fd, dev_t dev)
{
	return dev == r->dev ? r->in_memory : is_memory(fd);
}

/* False: it cannot be looked at. */
static bool
look_at_fs(struct root *r)
{
	struct stat st;

	if (fstat(r->fd, &st) != 0)
		return false;
	r->dev = st.st_dev;
	r->in_memory = is_memory(r->fd);
	return true;
}

enum ftx_rc
root_open(struct root **out, const char *path, unsigned flags, mode_t mode)
{
	struct root *r = calloc(1, sizeof(*r));
	enum ftx_rc rc;

	if (r == NULL)
		return FTX_NOMEM;
	pthread_mutex_init(&r->lock, NULL);
	implied_init(&r->implied);
	r->flags = flags;
	r->mode = mode;
	r->run = run_number();
	r->fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* Enough for a client to read a file in it, with the permission that this takes. */
	if (r->fd < 0 && errno == EACCES && (flags & ROOT_EXCLUSIVE) == 0)
		r->fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (r->fd < 0) {
		rc = errno == ENOTDIR ? FTX_NOT_REGULAR : ftx_rc_from_errno(errno);
		goto fail;
	}
	if ((flags & ROOT_EXCLUSIVE) != 0 && flock(r->fd, LOCK_EX | LOCK_NB) != 0) {
		rc = errno == EWOULDBLOCK ? FTX_LOCKED : ftx_rc_from_errno(errno);
		goto fail;
	}
	rc = look_at_fs(r) ? space_new(&r->space) : FTX_IO;
	if (rc != FTX_OK)
		goto fail;
	r->unswept = may_have_mark(r);
	/* Without its mark it is what a run left that died between the two. */
	if ((flags & ROOT_EXCLUSIVE) != 0 && !r->unswept)
		remove_state_dir(r);
	*out = r;
	return FTX_OK;
fail:
	root_close(r);
	return rc;
}

unsigned
root_path_flags(const struct root *r)
{
	return (r->flags & ROOT_NO_OPENAT2) != 0 ? PATH_NO_OPENAT2 : 0;
}

enum ftx_rc
root_not_durable(int err)
{
	return err == ENOSPC || err == EDQUOT ? FTX_NO_SPACE : FTX_IO;
}

enum ftx_rc
root_look_for_error(int fd)
{
#ifdef HAVE_SYNC_FILE_RANGE
	if (sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE) != 0)
		return root_not_durable(errno);
#else
	(void)fd; /* it is not asked: commit_is_sound() is false */
#endif
	return FTX_OK;
}

enum ftx_rc
root_sync_dir(int fd)
{
	return fsync(fd) == 0 || errno == EINVAL ? FTX_OK : root_not_durable(errno);
}

enum ftx_rc
root_sync_names(const struct root *r, int fd)
{
	return root_syncs(r) ? root_sync_dir(fd) : FTX_OK;
}

void
root_close(struct root *r)
{
	if (r == NULL)
		return;
	if (!uploads_close(r->uploads))
		r->left = true; /* stages that may be unknown by the next start */
	if (r->marked && !r->left && !r->unswept)
		remove_mark(r); /* all transfers are gone, and so are their stages */
	space_free(r->space);
	if (r->fd >= 0)
		close(r->fd);
	implied_destroy(&r->implied);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* The lock is held. */
static enum ftx_rc
make_mark(struct root *r)
{
	enum ftx_rc rc = FTX_OK;
	int dir = -1, fd = -1;

	if (mkdirat(r->fd, PATH_STATE_DIR, 0700) != 0 && errno != EEXIST)
		goto fail;
	dir = openat(r->fd, PATH_STATE_DIR, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (dir < 0)
		goto fail;
	/* NONBLOCK: should a FIFO stand there, all uploads would wait for somebody to read it. */
	fd = openat(
	    dir, ROOT_STATE_MARK, O_WRONLY | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600);
	if (fd < 0 || fsync(fd) != 0 || root_sync_dir(dir) != FTX_OK ||
	    root_sync_dir(r->fd) != FTX_OK)
		goto fail;
	r->marked = true;
	goto out;
fail:
	rc = root_not_durable(errno); /* of our own names: they say nothing about the peer's */
	if (log_is_due(&r->say_mark_next))
		log_error("cannot mark the storage root as having stage files: %s",
		    ftx_errno_text(errno));
	if (!r->unswept)
		remove_mark(r); /* it would speak of stages that nobody has made */
out:
	if (fd >= 0)
		close(fd);
	if (dir >= 0)
		close(dir);
	return rc;
}

/* The lock is held. Only a daemon sweeps; a client's root has no state directory. */
static enum ftx_rc
mark(struct root *r)
{
	return (r->flags & ROOT_EXCLUSIVE) != 0 && !r->marked ? make_mark(r) : FTX_OK;
}

enum ftx_rc
root_mark(struct root *r)
{
	enum ftx_rc rc;

	pthread_mutex_lock(&r->lock);
	rc = mark(r);
	pthread_mutex_unlock(&r->lock);
	return rc;
}

enum ftx_rc
root_stage_name(struct root *r, char *name, size_t size)
{
	enum ftx_rc rc;
	uint64_t serial;

	pthread_mutex_lock(&r->lock);
	rc = mark(r);
	serial = r->serial++;
	pthread_mutex_unlock(&r->lock);
	snprintf(name, size, "%s%016" PRIx64 "-%" PRIx64,
	    (r->flags & ROOT_EXCLUSIVE) != 0 ? PATH_STAGE_PREFIX : ".ftxfer-", r->run, serial);
	return rc;
}

static bool
knows_unlinkable(const struct root *r, dev_t dev)
{
	for (unsigned i = 0; i < r->unlinkables; i++) {
		if (r->unlinkable[i] == dev)
			return true;
	}
	return false;
}

bool
root_knows_unlinkable(struct root *r, dev_t dev)
{
	bool known;

	pthread_mutex_lock(&r->lock);
	known = knows_unlinkable(r, dev);
	pthread_mutex_unlock(&r->lock);
	return known;
}

void
root_set_unlinkable(struct root *r, dev_t dev, int why)
{
	pthread_mutex_lock(&r->lock);
	if (log_is_due(&r->say_unlinkable_next))
		log_warn("this file system cannot name an unnamed file: %s", ftx_errno_text(why));
	if (!knows_unlinkable(r, dev) &&
	    r->unlinkables < sizeof(r->unlinkable) / sizeof(r->unlinkable[0]))
		r->unlinkable[r->unlinkables++] = dev;
	pthread_mutex_unlock(&r->lock);
}

void
root_set_left(struct root *r)
{
	pthread_mutex_lock(&r->lock);
	r->left = true;
	pthread_mutex_unlock(&r->lock);
}

enum ftx_rc
root_keep_uploads(struct root *r)
{
	return uploads_open(&r->uploads, r);
}

bool
root_needs_sweep(const struct root *r)
{
	return r->unswept;
}

/* A walk in search of stage files. */
struct walk {
	struct root *root; /* borrowed */
	time_t since;      /* a directory in which the dead run did anything has changed since */
	unsigned *removed; /* borrowed: counts them */
};

/* Clocks are set back, but rarely further than this. */
#define CLOCK_SLACK ((time_t)24 * 3600)

static void
walk_init(struct walk *w, struct root *r, unsigned *removed)
{
	struct stat st;

	*w = (struct walk){ .root = r, .removed = removed };
	*removed = 0;
	/*
	 * The mark is older than all that it speaks of. Unless it is from a time that has not come
	 * yet: the clock has been set back since it was made, and compares with nothing. (A second
	 * ahead it is not: time(2) may lag behind the clock that files get their times from.)
	 */
	if (fstatat(r->fd, MARK_PATH, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_mtime <= time(NULL) + 1)
		w->since = st.st_mtime - CLOCK_SLACK;
}

/*
 * Others set the time of modification back (rsync, tar), but not that of change; which is no more
 * than the time of creation on some file systems (vfat, once).
 */
static bool
has_changed(const struct walk *w, const FTSENT *dir)
{
	const struct stat *st = dir->fts_statp;

	return dir->fts_number != 0 || st->st_ctime >= w->since || st->st_mtime >= w->since;
}

/* Removes one stage file found at `name`, relative to the root, through the jail. */
static bool
sweep_one(struct root *r, const char *name)
{
	const char *leaf;
	int dir_fd;
	bool gone;

	if (path_open_parent(r->fd, 0, name, &dir_fd, &leaf) != FTX_OK)
		return false;
	gone = unlinkat(dir_fd, leaf, 0) == 0 || errno == ENOENT;
	close(dir_fd);
	return gone;
}

/* Makes the directory at `name` (relative to the root; "": the root) durable as it is now. */
static bool
sync_swept(struct root *r, const char *name)
{
	char inside[PATH_NAME_MAX + 3];
	const char *leaf;
	bool durable;
	int dir_fd;

	if (*name == '\0')
		return root_sync_dir(r->fd) == FTX_OK;
	if ((size_t)snprintf(inside, sizeof(inside), "%s/.", name) >= sizeof(inside) ||
	    path_open_parent(r->fd, 0, inside, &dir_fd, &leaf) != FTX_OK)
		return false;
	durable = root_sync_dir(dir_fd) == FTX_OK;
	close(dir_fd);
	return durable;
}

/*
 * Nothing of ours is there, though the walk could not look. What went between listing and looking
 * is not left; stages come and go while we serve. And a directory that we may not read or search
 * (lost+found, another's private one) holds no stage: one is only made where the directory can be
 * opened for reading, since it will be synced (path.c, dir_flags()). That permission may have been
 * taken away since; so a directory of our own that has changed is not passed over. In another's, a
 * stage is left for the first sweep that may look.
 */
static bool
holds_nothing(const struct walk *w, const FTSENT *e)
{
	const FTSENT *dir = e->fts_info == FTS_DNR ? e : e->fts_parent;

	if (e->fts_errno == ENOENT)
		return true;
	return e->fts_errno == EACCES && e->fts_info != FTS_ERR &&
	       (dir->fts_statp->st_uid != geteuid() || !has_changed(w, dir));
}

static bool
is_stale_stage(const struct walk *w, const FTSENT *e)
{
	char own[64];

	snprintf(own, sizeof(own), "%s%016" PRIx64 "-", PATH_STAGE_PREFIX, w->root->run);
	return e->fts_info != FTS_D && e->fts_info != FTS_DNR && e->fts_level >= 1 &&
	       strncmp(e->fts_name, PATH_STAGE_PREFIX, strlen(PATH_STAGE_PREFIX)) == 0 &&
	       strncmp(e->fts_name, own, strlen(own)) != 0 &&
	       (w->root->uploads == NULL || !uploads_keep(w->root->uploads, e->fts_name));
}

/*
 * One step of the walk, at `name` relative to the root. False: something may be left there.
 *
 * A directory is made durable also where no stage file was found: a daemon that was killed may have
 * removed or renamed one, and what is not durable comes back after a power cut, when the mark will
 * be gone. It has changed the directory then. (A sync takes milliseconds, and most of a large tree
 * has not been changed since the mark was made.)
 */
static bool
walk_step(struct walk *w, FTSENT *e, const char *name)
{
	if (e->fts_info == FTS_DP)
		return !has_changed(w, e) || sync_swept(w->root, name);
	if (is_stale_stage(w, e)) {
		if (!sweep_one(w->root, name))
			return false;
		e->fts_parent->fts_number = 1; /* changed by us: not in its status yet */
		++*w->removed;
		return true;
	}
	if (e->fts_info == FTS_DNR || e->fts_info == FTS_ERR || e->fts_info == FTS_NS)
		return holds_nothing(w, e);
	return true;
}

enum ftx_rc
root_sweep(struct root *r, const char *path, const atomic_bool *stop, unsigned *removed)
{
	char *top = strdup(path);
	char *paths[] = { top, NULL };
	size_t skip = strlen(path);
	enum ftx_rc rc = FTX_IO;
	struct walk walk;
	FTSENT *e;
	FTS *fts = NULL;

	if (top == NULL)
		return FTX_NOMEM;
	walk_init(&walk, r, removed);
	/* NOCHDIR: the working directory is all threads'. COMFOLLOW: the root may be a link. */
	fts = fts_open(paths, FTS_PHYSICAL | FTS_COMFOLLOW | FTS_NOCHDIR, NULL);
	if (fts == NULL)
		goto out;
	rc = FTX_OK;
	errno = 0;
	while ((e = fts_read(fts)) != NULL && !atomic_load(stop)) {
		const char *name =
		    e->fts_level < 1 ? "" : e->fts_path + skip + (path[skip - 1] == '/' ? 0 : 1);

		if (!walk_step(&walk, e, name))
			rc = FTX_IO;
		errno = 0;
	}
	if (errno != 0 || e != NULL)
		rc = FTX_IO;
	pthread_mutex_lock(&r->lock);
	r->unswept = rc != FTX_OK;
	if (!r->unswept && !r->marked)
		remove_mark(r);
	pthread_mutex_unlock(&r->lock);
out:
	if (fts != NULL)
		fts_close(fts);
	free(top);
	return rc;
}
