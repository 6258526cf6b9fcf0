#include "store/stage.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/rc.h"
#include "base/log.h"
#include "store/stage_dir.h"
#include "store/stage_private.h"
#include "store/stored_digest.h"
#include "store/uploads.h"

#define DIGEST_MIN ((off_t)64 * 1024) /* bytes */

void
stage_init(struct stage *s)
{
	s->kind = STAGE_NONE;
	s->root = NULL;
	s->dir = NULL;
	s->dir_fd = -1;
	s->fd = -1;
	s->leaf[0] = '\0';
	s->temp[0] = '\0';
	s->replace = s->replaces = s->through = s->unlooked = s->part = false;
	s->mode = 0;
	s->has_mtime = false;
	s->digest = (struct digest_value){ .kind = DIGEST_NONE };
	s->if_version = (struct meta_version){ 0 };
	s->meta = NULL;
	s->st = (struct stat){ 0 };
	s->upload = NULL;
	s->in_memory = s->may_wait = s->direct = false;
	s->flushed = 0;
	s->unsynced = s->together = 0;
}

void
stage_goes_with_others(struct stage *s)
{
	if (s->unsynced == 0)
		return; /* in memory: what all workers share is not touched for nothing */
	atomic_fetch_sub(&s->root->unsynced, s->unsynced);
	atomic_fetch_add(&s->root->together, s->unsynced);
	s->together += s->unsynced;
	s->unsynced = 0;
}

void
stage_close(struct stage *s)
{
	if (s->fd >= 0)
		close(s->fd);
	stage_dir_release(s->dir);
	if (s->unsynced > 0) /* it is durable, or gone */
		atomic_fetch_sub(&s->root->unsynced, s->unsynced);
	if (s->together > 0)
		atomic_fetch_sub(&s->root->together, s->together);
	stage_init(s);
}

/* The stage's own name goes. */
static void
remove_temp(struct stage *s)
{
	if (unlinkat(s->dir_fd, s->temp, 0) != 0) {
		log_warn("cannot remove stage file %s: %s", s->temp, ftx_errno_text(errno));
		root_set_left(s->root);
	}
	s->temp[0] = '\0';
}

/* It has its name, and more cannot be said. */
static enum ftx_rc
not_durable(struct root *r, const char *why)
{
	if (log_is_due(&r->say_names_next))
		log_error("a file that has its name cannot be made durable: %s", why);
	return FTX_NOT_DURABLE;
}

enum ftx_rc
stage_dir_synced(struct stage *s, enum ftx_rc rc)
{
	if ((rc != FTX_OK || !root_syncs(s->root)) && s->kind == STAGE_NAMED)
		root_set_left(s->root);
	if (rc != FTX_OK && (s->root->flags & ROOT_EXCLUSIVE) != 0)
		rc = not_durable(s->root, ftx_rc_text(rc));
	return rc;
}

enum ftx_rc
stage_record(const struct stage *s)
{
	struct meta m;

	if (s->upload == NULL)
		return FTX_OK;
	meta_of(&s->st, &m);
	m.mode = s->mode;
	m.digest = s->digest;
	return uploads_ready(s->upload, &m, s->st.st_ino);
}

bool
stage_needs_settling(const struct stage *s)
{
	return s->upload != NULL || (s->replaces && s->root->uploads != NULL);
}

/* What is known of uploads, before a name is given away. */
static enum ftx_rc
record_and_settle(const struct stage *s)
{
	enum ftx_rc rc = stage_record(s);

	if (rc == FTX_OK && stage_needs_settling(s))
		rc = uploads_settle(s->root->uploads);
	return rc;
}

void
stage_note_published(const struct stage *s)
{
	if (s->upload != NULL)
		uploads_published(s->upload, s->meta);
}

void
stage_park(struct stage *s)
{
	stage_close(s);
}

void
stage_discard(struct stage *s)
{
	if (s->kind == STAGE_NAMED && s->temp[0] != '\0') {
		remove_temp(s);
		/* A client leaves no mark, and need not wait. */
		if ((s->root->flags & ROOT_EXCLUSIVE) != 0 && root_sync_dir(s->dir_fd) != FTX_OK)
			root_set_left(s->root);
	}
	stage_close(s);
}

static bool
link_by_fd(const struct stage *s, struct root *r, const char *name)
{
#ifdef AT_EMPTY_PATH
	if (linkat(s->fd, "", s->dir_fd, name, AT_EMPTY_PATH) != 0)
		return false;
	atomic_store(&r->link_way, ROOT_LINK_BY_FD);
	return true;
#else
	(void)s;
	(void)r;
	(void)name;
	errno = ENOENT;
	return false;
#endif
}

/*
 * By its descriptor, or through /proc, which takes longer, but no capability before Linux 6.10
 * (link(2)): without it there seems to be no such file.
 */
static int
link_unnamed(const struct stage *s, struct root *r, const char *name)
{
	char proc[64];

	if ((r->flags & ROOT_NO_LINK_UNNAMED) != 0) {
		errno = EPERM;
		return -1;
	}
	if (atomic_load(&r->link_way) != ROOT_LINK_BY_PROC) {
		if (link_by_fd(s, r, name))
			return 0;
		if (errno != ENOENT)
			return -1;
	}
	snprintf(proc, sizeof(proc), "/proc/self/fd/%d", s->fd);
	if (linkat(AT_FDCWD, proc, s->dir_fd, name, AT_SYMLINK_FOLLOW) != 0)
		return -1;
	atomic_store(&r->link_way, ROOT_LINK_BY_PROC);
	return 0;
}

/* Gives a named stage the name `to`, which must be free. */
static int
rename_if_free(struct stage *s, const struct root *r)
{
#ifdef HAVE_RENAMEAT2
	if ((r->flags & ROOT_NO_RENAMEAT2) == 0) {
		if (renameat2(s->dir_fd, s->temp, s->dir_fd, s->leaf, RENAME_NOREPLACE) == 0) {
			s->temp[0] = '\0';
			return 0;
		}
		if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
			return -1;
	}
#else
	(void)r;
#endif
	if (linkat(s->dir_fd, s->temp, s->dir_fd, s->leaf, 0) != 0)
		return -1;
	remove_temp(s); /* both changes of the directory are made durable at once */
	return 0;
}

/*
 * Of what is written through, EINVAL and EROFS are: "bound to a special file which does not support
 * synchronization" (fsync(2)). A regular file is nothing of the kind: EROFS there comes from a file
 * system that has given up after an error (ext4), and the content is lost.
 */
enum ftx_rc
stage_sync(const struct stage *s)
{
	if (!root_syncs(s->root) || fsync(s->fd) == 0)
		return FTX_OK;
	if (s->kind == STAGE_THROUGH && (errno == EINVAL || errno == EROFS))
		return FTX_OK;
	return root_not_durable(errno);
}

/* Some file systems have no such thing to set (vfat): not worth losing a file for. */
static enum ftx_rc
unless_there_is_none(int result)
{
	return result == 0 || errno == EPERM || errno == EOPNOTSUPP ? FTX_OK
								    : ftx_rc_from_errno(errno);
}

/*
 * Of a client's small file in memory it is made as fast as it is found; and there may be many of
 * them. A device may have it without the content that it is of, where that is not synced.
 */
static bool
is_digest_worth_storing(const struct stage *s)
{
	if (!root_syncs(s->root) && !s->in_memory)
		return false;
	return !s->in_memory || !s->may_wait || s->st.st_size > DIGEST_MIN;
}

/* The digest is for this time; and the mode comes last, for it may forbid to write the digest. */
enum ftx_rc
stage_set_attrs(struct stage *s)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, s->mtime };
	enum ftx_rc rc = FTX_OK;

	if (s->has_mtime)
		rc = unless_there_is_none(futimens(s->fd, times));
	if (rc == FTX_OK && fstat(s->fd, &s->st) != 0)
		rc = ftx_rc_from_errno(errno);
	if (rc != FTX_OK)
		return rc;
	/* Where it cannot be, it will be computed. */
	if (is_digest_worth_storing(s))
		(void)stored_digest_write_for(s->fd, &s->st, &s->digest);
	if ((s->st.st_mode & 07777) == s->mode)
		return FTX_OK;
	return unless_there_is_none(fchmod(s->fd, s->mode));
}

/* Writes what `from` holds to `to`, from the start. */
static enum ftx_rc
copy_content(int from, int to)
{
	char buf[16 * 1024];
	off_t offset = 0;

	for (;;) {
		ssize_t n = pread(from, buf, sizeof(buf), offset), done = 0;

		if (n == 0)
			return FTX_OK;
		if (n < 0 && errno != EINTR)
			return ftx_rc_from_errno(errno);
		while (done < n) {
			ssize_t m = pwrite(to, buf + done, (size_t)(n - done), offset + done);

			if (m == 0)
				return FTX_IO;
			if (m < 0 && errno != EINTR)
				return ftx_rc_from_errno(errno);
			done += m > 0 ? m : 0;
		}
		offset += done;
	}
}

/*
 * The file system makes unnamed files but will not name them (a FUSE without link, say). It is
 * remembered, so that this copy is made once per file system and run; its uploads have named stages
 * from here on.
 */
static enum ftx_rc
fall_back_to_named(struct stage *s, struct root *r)
{
	int unnamed = s->fd, why = errno;
	struct stat st;
	enum ftx_rc rc;

	stage_end_direct(s); /* what is read back is not aligned */
	if (fstat(s->dir_fd, &st) == 0)
		root_set_unlinkable(r, st.st_dev, why);
	s->fd = -1;
	rc = stage_open_named(s, r);
	if (rc == FTX_OK)
		rc = copy_content(unnamed, s->fd);
	if (rc == FTX_OK)
		rc = stage_set_attrs(s);
	if (rc == FTX_OK)
		rc = stage_sync(s);
	if (rc == FTX_OK)
		rc = record_and_settle(s); /* it is another file now */
	close(unnamed);
	return rc;
}

static bool
cannot_link(int err)
{
	return err == EPERM || err == EOPNOTSUPP || err == ENOSYS || err == EINVAL;
}

/* Over whatever regular file has the name: only a name can be moved over a name. */
static enum ftx_rc
replace_target(struct stage *s)
{
	struct stat st;
	enum ftx_rc rc = FTX_OK;

	if (s->if_version.len > 0)
		rc = stage_look_at_version(
		    s, fstatat(s->dir_fd, s->leaf, &st, AT_SYMLINK_NOFOLLOW) == 0 ? &st : NULL);
	if (rc != FTX_OK)
		return rc;
	if (renameat(s->dir_fd, s->temp, s->dir_fd, s->leaf) != 0)
		return ftx_rc_from_errno(errno);
	s->temp[0] = '\0';
	return FTX_OK;
}

/*
 * Where nothing had the name a moment ago, it is taken as if nothing was to be replaced, in one
 * step. False: it has appeared, or this is not the way.
 */
static bool
take_free_name(const struct stage *s, struct root *r)
{
	return s->replace && !s->replaces && s->if_version.len == 0 &&
	       link_unnamed(s, r, s->leaf) == 0;
}

static enum ftx_rc
give_name(struct stage *s, struct root *r)
{
	const char *name = s->leaf;
	enum ftx_rc rc;

	if (s->kind == STAGE_UNNAMED) {
		if (take_free_name(s, r))
			return FTX_OK;
		if (s->replace) {
			rc = root_stage_name(r, s->temp, sizeof(s->temp));
			if (rc != FTX_OK)
				return rc;
			name = s->temp;
		}
		if (link_unnamed(s, r, name) == 0) {
			if (!s->replace)
				return FTX_OK;
			s->kind = STAGE_NAMED;
		} else if (cannot_link(errno)) {
			rc = fall_back_to_named(s, r);
			if (rc != FTX_OK)
				return rc;
		} else
			return ftx_rc_from_errno(errno);
	}
	if (s->replace)
		return replace_target(s);
	return rename_if_free(s, r) == 0 ? FTX_OK : ftx_rc_from_errno(errno);
}

/* After the last change of the file, which getting its name is. It has that in any case. */
static enum ftx_rc
tell_meta(const struct stage *s)
{
	struct stat st;

	if (s->meta == NULL)
		return FTX_OK;
	if (fstat(s->fd, &st) != 0)
		return not_durable(s->root, ftx_errno_text(errno));
	meta_of(&st, s->meta);
	s->meta->digest = s->digest;
	return FTX_OK;
}

enum ftx_rc
stage_give_name(struct stage *s, const atomic_bool *cancelled)
{
	enum ftx_rc rc;

	if (atomic_load(cancelled))
		return FTX_CANCELLED;
	rc = give_name(s, s->root);
	return rc == FTX_OK ? tell_meta(s) : rc;
}

enum ftx_rc
stage_publish(struct stage *s, const atomic_bool *cancelled)
{
	enum ftx_rc rc = FTX_OK;

	if (s->kind != STAGE_THROUGH)
		rc = stage_set_attrs(s);
	if (rc == FTX_OK)
		rc = stage_sync(s);
	if (rc == FTX_OK && s->kind != STAGE_THROUGH) {
		rc = record_and_settle(s);
		if (rc == FTX_OK)
			rc = stage_give_name(s, cancelled);
		if (rc == FTX_OK)
			rc = stage_dir_synced(s, root_sync_names(s->root, s->dir_fd));
		if (rc == FTX_OK)
			stage_note_published(s);
	}
	if (rc == FTX_OK && s->upload != NULL)
		uploads_note(s->root->uploads);
	stage_discard(s);
	return rc;
}
