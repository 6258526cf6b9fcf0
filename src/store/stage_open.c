/* What a stage begins with: the directory, what has the name already, and a file. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "store/names.h"
#include "store/path.h"
#include "store/stage.h"
#include "store/stage_dir.h"
#include "store/stage_private.h"

enum ftx_rc
stage_look_at_version(const struct stage *s, const struct stat *st)
{
	struct meta m = { 0 };

	if (s->if_version.len == 0)
		return FTX_OK;
	if (st != NULL)
		meta_of(st, &m);
	return meta_same_version(&m.version, &s->if_version) ? FTX_OK : FTX_OTHER_VERSION;
}

static bool
is_dir_in_memory(const struct stage *s, const struct root *r)
{
	return r->in_memory && s->dir->ino != 0 && s->dir->dev == r->dev;
}

/*
 * Whatever has the name, giving it will be refused then. Where nothing waits for a device it costs
 * more to look before all that do not have it than to write the few that do for nothing.
 */
static bool
need_not_look(const struct stage *s, const struct root *r)
{
	return !s->replace && s->if_version.len == 0 && !s->through && is_dir_in_memory(s, r);
}

/* What stands under the name now decides what may be done. */
static enum ftx_rc
look_at_target(struct stage *s)
{
	struct stat st;

	if (fstatat(s->dir_fd, s->leaf, &st, AT_SYMLINK_NOFOLLOW) != 0) {
		if (errno != ENOENT)
			return ftx_rc_from_errno(errno);
		s->kind = STAGE_UNNAMED;
		return stage_look_at_version(s, NULL);
	}
	if (S_ISREG(st.st_mode)) {
		if (!s->replace)
			return FTX_EXISTS;
		s->replaces = true;
		s->kind = STAGE_UNNAMED;
		return stage_look_at_version(s, &st);
	}
	if (s->unlooked) {
		s->kind = STAGE_UNNAMED;
		return FTX_OK;
	}
	if (!s->through)
		return FTX_NOT_REGULAR;
	/*
	 * The user's own name: /dev/stdout is a link to what it means. A link to a file was
	 * resolved by the caller.
	 */
	if (S_ISLNK(st.st_mode) && fstatat(s->dir_fd, s->leaf, &st, 0) != 0)
		return ftx_rc_from_errno(errno);
	if (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode) || S_ISLNK(st.st_mode))
		return FTX_NOT_REGULAR;
	s->kind = STAGE_THROUGH;
	return FTX_OK;
}

/* An unnamed file can be given a name, as far as this process is concerned. */
static bool
may_link(const struct root *r)
{
	return (r->flags & ROOT_NAMED_STAGE) == 0 &&
	       (atomic_load(&r->link_way) == ROOT_LINK_BY_FD || access("/proc/self/fd", X_OK) == 0);
}

/* In memory a file is on the device that its directory is on; elsewhere it is asked (overlayfs). */
static bool
find_device(const struct stage *s, const struct root *r, dev_t *dev)
{
	struct stat st;

	*dev = s->dir->dev;
	if (is_dir_in_memory(s, r))
		return true;
	if (fstat(s->fd, &st) != 0)
		return false;
	*dev = st.st_dev;
	return true;
}

/* The one that it will have in the end, unless that forbids to write to it (to its attributes). */
static mode_t
first_mode(const struct stage *s)
{
	return (s->mode & S_IWUSR) != 0 ? s->mode : S_IRUSR | S_IWUSR;
}

/*
 * An unnamed file, where this kernel has them, and this file system does not refuse to name them.
 * False with EOPNOTSUPP: a named stage does without.
 */
static bool
open_unnamed(struct stage *s, struct root *r)
{
#ifdef O_TMPFILE
	dev_t dev;

	if (may_link(r)) {
		s->fd = openat(s->dir_fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, first_mode(s));
		if (s->fd < 0)
			return false;
		if (find_device(s, r, &dev) && !root_knows_unlinkable(r, dev)) {
			s->in_memory = root_is_memory(r, s->fd, dev);
			return true;
		}
		close(s->fd);
		s->fd = -1;
	}
#else
	(void)s;
	(void)r;
#endif
	errno = EOPNOTSUPP;
	return false;
}

enum ftx_rc
stage_open_named(struct stage *s, struct root *r)
{
	enum ftx_rc rc = root_stage_name(r, s->temp, sizeof(s->temp));

	if (rc == FTX_OK) {
		s->fd = openat(
		    s->dir_fd, s->temp, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
		if (s->fd < 0)
			rc = ftx_rc_from_errno(errno);
	}
	if (rc != FTX_OK) {
		s->temp[0] = '\0'; /* nothing of that name is ours */
		return rc;
	}
	s->kind = STAGE_NAMED;
	return FTX_OK;
}

/* O_TMPFILE where this kernel or file system has none: open(2). */
static bool
no_tmpfile(int err)
{
	return err == EOPNOTSUPP || err == EISDIR || err == ENOENT || err == EINVAL;
}

static enum ftx_rc
open_stage_file(struct stage *s, struct root *r)
{
	if (open_unnamed(s, r))
		return FTX_OK;
	if (!no_tmpfile(errno))
		return ftx_rc_from_errno(errno);
	return stage_open_named(s, r);
}

static bool
stands_in_memory(const struct stage *s, const struct root *r)
{
	struct stat st;

	return fstat(s->fd, &st) == 0 && root_is_memory(r, s->fd, st.st_dev);
}

/*
 * The directory that the file will stand in. One that another request is making just now may be
 * there and not durable yet: what is published in it would go with it.
 */
static enum ftx_rc
open_target_dir(
    struct stage *s, const struct put_spec *spec, struct stage_dir **last, const char **leaf)
{
	struct root *r = s->root;
	enum ftx_rc rc = stage_dir_open(r, spec->name, last, &s->dir, leaf);

	if (rc == FTX_NO_PARENT && spec->parents) {
		rc = names_make_parents(r, spec->name);
		if (rc == FTX_OK)
			rc = stage_dir_open(r, spec->name, last, &s->dir, leaf);
	} else if (rc == FTX_OK && atomic_load(&r->making) > 0)
		rc = names_sync_parents(r, spec->name);
	if (s->dir != NULL)
		s->dir_fd = s->dir->fd;
	return rc;
}

/* One of an earlier try. */
static enum ftx_rc
open_kept(struct stage *s, const char *stage, uint64_t *have)
{
	struct stat st;

	if (strlen(stage) >= sizeof(s->temp))
		return FTX_NOT_FOUND;
	s->fd = openat(s->dir_fd, stage, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (s->fd < 0)
		return ftx_rc_from_errno(errno);
	if (fstat(s->fd, &st) != 0)
		return ftx_rc_from_errno(errno);
	if (!S_ISREG(st.st_mode))
		return FTX_NOT_FOUND;
	s->kind = STAGE_NAMED;
	memcpy(s->temp, stage, strlen(stage) + 1);
	*have = (uint64_t)st.st_size;
	return FTX_OK;
}

/* Where what there is of it cannot be kept, it is not. */
static enum ftx_rc
open_found_again(struct stage *s, enum put_keep keep, uint64_t *have)
{
	enum ftx_rc rc = stage_open_part(s, keep == PUT_KEEP, have);

	if (rc == FTX_OK)
		return FTX_OK;
	return keep == PUT_KEEP ? open_stage_file(s, s->root) : FTX_NOT_FOUND;
}

/* The file that is written to, in whatever way. */
static enum ftx_rc
open_file(struct stage *s, const struct stage_kept *kept, enum put_keep keep, uint64_t *have)
{
	enum ftx_rc rc;

	if (s->kind == STAGE_THROUGH && keep == PUT_KEEP_FOUND)
		return FTX_NOT_FOUND;
	if (s->kind == STAGE_THROUGH) {
		s->fd = openat(s->dir_fd, s->leaf, O_WRONLY | O_NOCTTY | O_CLOEXEC);
		return s->fd >= 0 ? FTX_OK : ftx_rc_from_errno(errno);
	}
	if (kept == NULL && keep != PUT_KEEP_NONE)
		rc = open_found_again(s, keep, have);
	else if (kept == NULL)
		rc = open_stage_file(s, s->root);
	else if (kept->stage[0] != '\0')
		rc = open_kept(s, kept->stage, have);
	else
		rc = stage_open_named(s, s->root);
	if (rc == FTX_OK && s->kind == STAGE_NAMED)
		s->in_memory = stands_in_memory(s, s->root);
	return rc;
}

void
stage_take_attrs(struct stage *s, const struct put_spec *spec)
{
	s->mode = spec->has_mode ? spec->mode & 0777 : s->root->mode;
	s->has_mtime = spec->has_mtime;
	s->mtime = spec->mtime;
}

static void
set_spec(struct stage *s, const struct put_spec *spec)
{
	s->may_wait = (s->root->flags & ROOT_MAY_WAIT) != 0;
	s->replace = spec->policy == PUT_REPLACE;
	s->through = spec->through;
	s->unlooked = spec->unlooked;
	stage_take_attrs(s, spec);
	s->if_version = spec->if_version;
}

/* By its directory, which is found, comes what stands there, and a file. */
static enum ftx_rc
open_in_dir(struct stage *s, const struct put_spec *spec, const char *leaf,
    const struct stage_kept *kept, uint64_t *have)
{
	enum put_keep keep = have != NULL ? spec->keep : PUT_KEEP_NONE;
	enum ftx_rc rc = FTX_OK;

	if (strlen(leaf) >= sizeof(s->leaf))
		return FTX_BAD_NAME;
	memcpy(s->leaf, leaf, strlen(leaf) + 1);
	if (have == NULL && need_not_look(s, s->root))
		s->kind = STAGE_UNNAMED;
	else
		rc = look_at_target(s);
	return rc == FTX_OK ? open_file(s, kept, keep, have) : rc;
}

/* have == NULL: its content is at hand, and nothing is kept of it. */
static enum ftx_rc
open_stage(struct stage *s, struct root *r, const struct put_spec *spec, struct stage_dir **last,
    const struct stage_kept *kept, uint64_t *have)
{
	const char *leaf;
	enum ftx_rc rc;

	stage_init(s);
	s->root = r;
	set_spec(s, spec);
	rc = open_target_dir(s, spec, last, &leaf);
	if (rc == FTX_OK)
		rc = open_in_dir(s, spec, leaf, kept, have);
	if (rc != FTX_OK)
		stage_close(s);
	return rc;
}

enum ftx_rc
stage_open_kept(struct stage *s, struct root *r, const struct put_spec *spec,
    const struct stage_kept *kept, uint64_t *have)
{
	struct stage_dir *last = NULL;
	enum ftx_rc rc;

	*have = 0;
	rc = open_stage(s, r, spec, &last, kept, have);
	stage_dir_release(last);
	return rc;
}

enum ftx_rc
stage_open_next(
    struct stage *s, struct root *r, const struct put_spec *spec, struct stage_dir **last)
{
	return open_stage(s, r, spec, last, NULL, NULL);
}

enum ftx_rc
stage_open(struct stage *s, struct root *r, const struct put_spec *spec)
{
	uint64_t have;

	return stage_open_kept(s, r, spec, NULL, &have);
}
