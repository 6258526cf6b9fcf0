#include "store/names.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/path.h"

/* Of what should be there: whether the last of its directories is missing or the name itself. */
static enum ftx_rc
open_parent_of_old(
    const struct root *r, unsigned flags, const char *name, int *dir_fd, const char **leaf)
{
	enum ftx_rc rc = path_open_parent(r->fd, root_path_flags(r) | flags, name, dir_fd, leaf);

	return rc == FTX_NO_PARENT ? FTX_NOT_FOUND : rc;
}

enum ftx_rc
names_stat(struct root *r, const char *name, bool digests, struct meta *m)
{
	const char *leaf;
	enum ftx_rc rc;
	int dir_fd;

	if (*name == '\0')
		return meta_look(r->fd, ".", false, m);
	rc = open_parent_of_old(r, PATH_SEARCH_ONLY, name, &dir_fd, &leaf);
	if (rc != FTX_OK)
		return rc;
	rc = meta_look(dir_fd, leaf, digests, m);
	close(dir_fd);
	return rc;
}

bool
names_are_synced(struct root *r, const char *name)
{
	const char *leaf;
	struct stat st;
	bool durable;
	int dir_fd;

	if (!root_syncs(r) ||
	    open_parent_of_old(r, PATH_SEARCH_ONLY, name, &dir_fd, &leaf) != FTX_OK)
		return false;
	durable = fstat(dir_fd, &st) == 0 && !root_is_memory(r, dir_fd, st.st_dev);
	close(dir_fd);
	return durable;
}

/* What the root's files have, with x wherever there is r; and all that we need ourselves. */
static mode_t
dir_mode(const struct root *r, const mode_t *mode)
{
	mode_t bits = mode != NULL ? *mode & 0777 : r->mode | (r->mode & 0444) >> 2;

	return bits | 0700;
}

static int
open_dir(int dir_fd, const char *leaf)
{
	return openat(dir_fd, leaf, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Some file systems have no permission bits to set (vfat). */
static enum ftx_rc
set_dir_mode(int fd, mode_t mode)
{
	if (fchmod(fd, mode) == 0 || errno == EPERM || errno == EOPNOTSUPP)
		return FTX_OK;
	return ftx_rc_from_errno(errno);
}

/* What was just made, with the mode that it is to have. *fd: -1 on failure. */
static enum ftx_rc
open_new_dir(int dir_fd, const char *leaf, mode_t mode, int *fd)
{
	enum ftx_rc rc;

	*fd = open_dir(dir_fd, leaf);
	if (*fd < 0)
		return ftx_rc_from_errno(errno);
	rc = set_dir_mode(*fd, mode);
	if (rc != FTX_OK) {
		close(*fd);
		*fd = -1;
	}
	return rc;
}

/* A directory that is there gets the mode, if it was only made for what is in it. */
static enum ftx_rc
take_implied(struct root *r, int dir_fd, const char *leaf, mode_t mode)
{
	enum ftx_rc rc = FTX_OK;
	int fd = open_dir(dir_fd, leaf);

	if (fd < 0)
		return FTX_OK; /* then it is none that we have made */
	if (implied_take(&r->implied, fd)) {
		rc = set_dir_mode(fd, mode);
		if (rc == FTX_OK)
			rc = root_sync_names(r, fd);
	}
	close(fd);
	return rc;
}

/* Who made what is there may not have lived to sync it: that is done again by make_dir_in(). */
static enum ftx_rc
take_existing(struct root *r, int dir_fd, const char *leaf, const mode_t *mode)
{
	struct meta m;
	enum ftx_rc rc = meta_look(dir_fd, leaf, false, &m);

	if (rc == FTX_OK && m.kind != META_DIRECTORY)
		rc = FTX_EXISTS;
	return rc == FTX_OK && mode != NULL ? take_implied(r, dir_fd, leaf, dir_mode(r, mode)) : rc;
}

/*
 * One directory, in one that is there. mode: NULL for the root's, which is all that is known of one
 * that is implied by a name beneath it. Until it is durable others may put files into it, and are
 * told to look (r->making).
 */
static enum ftx_rc
make_dir_in(
    struct root *r, int dir_fd, const char *leaf, const mode_t *mode, bool implied, bool *existed)
{
	enum ftx_rc rc;
	int fd = -1;

	*existed = false;
	atomic_fetch_add(&r->making, 1);
	if (implied)
		implied_begin(&r->implied);
	if (mkdirat(dir_fd, leaf, 0700) == 0)
		rc = open_new_dir(dir_fd, leaf, dir_mode(r, mode), &fd);
	else {
		rc = errno == EEXIST ? FTX_OK : ftx_rc_from_errno(errno);
		*existed = true;
	}
	if (implied)
		implied_end(&r->implied, fd);
	else if (fd >= 0) /* its number may be that of one that is gone */
		(void)implied_take(&r->implied, fd);
	if (rc == FTX_OK)
		rc = *existed ? take_existing(r, dir_fd, leaf, mode) : root_sync_names(r, fd);
	if (fd >= 0)
		close(fd);
	if (rc == FTX_OK)
		rc = root_sync_names(r, dir_fd);
	/* Where another one has removed it again there is nothing that could be lost with it. */
	if (rc == FTX_OK || *existed || rc == FTX_NOT_FOUND)
		atomic_fetch_sub(&r->making, 1);
	return rc;
}

static enum ftx_rc
make_dir(struct root *r, const char *name, const mode_t *mode, bool implied, bool *existed)
{
	const char *leaf;
	int dir_fd;
	enum ftx_rc rc = path_open_parent(r->fd, root_path_flags(r), name, &dir_fd, &leaf);

	if (rc != FTX_OK)
		return rc;
	rc = make_dir_in(r, dir_fd, leaf, mode, implied, existed);
	close(dir_fd);
	return rc;
}

/* Steps to the next directory of a name, from the highest on. False: there is none below it. */
static bool
next_parent(const char *name, const char **slash, char part[PATH_NAME_MAX + 1])
{
	size_t len;

	*slash = strchr(*slash, '/');
	if (*slash == NULL)
		return false;
	len = (size_t)(*slash - name);
	if (len > PATH_NAME_MAX)
		return false; /* it is too long to be anything */
	memcpy(part, name, len);
	part[len] = '\0';
	++*slash;
	return true;
}

enum ftx_rc
names_make_parents(struct root *r, const char *name)
{
	char part[PATH_NAME_MAX + 1];
	const char *slash = name;
	bool existed;

	while (next_parent(name, &slash, part)) {
		enum ftx_rc rc = make_dir(r, part, NULL, true, &existed);

		if (rc != FTX_OK)
			return rc == FTX_EXISTS ? FTX_NO_PARENT : rc;
	}
	return FTX_OK;
}

enum ftx_rc
names_sync_parents(struct root *r, const char *name)
{
	char part[PATH_NAME_MAX + 1];
	const char *slash = name, *leaf;

	while (next_parent(name, &slash, part)) {
		int dir_fd;
		enum ftx_rc rc = path_open_parent(r->fd, root_path_flags(r), part, &dir_fd, &leaf);

		if (rc != FTX_OK)
			return rc;
		rc = root_sync_names(r, dir_fd);
		close(dir_fd);
		if (rc != FTX_OK)
			return rc;
	}
	return FTX_OK;
}

enum ftx_rc
names_mkdir(struct root *r, const char *name, bool parents, const mode_t *mode, bool *existed)
{
	enum ftx_rc rc = parents ? names_make_parents(r, name) : FTX_OK;

	return rc == FTX_OK ? make_dir(r, name, mode, false, existed) : rc;
}

static bool
is_wanted(const struct meta *m, const struct meta_version *if_version)
{
	return if_version == NULL || meta_same_version(&m->version, if_version);
}

/* Two names, each in its open directory. */
struct move {
	int from_dir, to_dir; /* owned; -1: none */
	const char *from, *to;
};

/* Whether it may be done, as far as can be seen now. */
static enum ftx_rc
look_at_move(const struct move *v, bool replace, const struct meta_version *if_version)
{
	struct stat from, to;
	struct meta m;

	if (fstatat(v->from_dir, v->from, &from, AT_SYMLINK_NOFOLLOW) != 0)
		return ftx_rc_from_errno(errno);
	meta_of(&from, &m);
	if (m.kind != META_FILE)
		return m.kind == META_DIRECTORY ? FTX_IS_DIRECTORY : FTX_NOT_REGULAR;
	if (!is_wanted(&m, if_version))
		return FTX_OTHER_VERSION;
	if (fstatat(v->to_dir, v->to, &to, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? FTX_OK : ftx_rc_from_errno(errno);
	/*
	 * To two links of one file rename(2) does nothing. A single one stands under both names
	 * where names have no case: that is what rename(2) changes then.
	 */
	if (from.st_dev == to.st_dev && from.st_ino == to.st_ino && from.st_nlink > 1)
		return FTX_EXISTS;
	return replace && S_ISREG(to.st_mode) ? FTX_OK : FTX_EXISTS;
}

static enum ftx_rc
move_rc(int err)
{
	return err == EXDEV ? FTX_OTHER_DEVICE : ftx_rc_from_errno(err);
}

/*
 * Where rename(2) has no way to refuse a name that exists, link(2) does. The old name goes when the
 * new one is durable: they are two changes, and only one of them may survive a power cut.
 */
static enum ftx_rc
move_by_link(const struct root *r, const struct move *v)
{
	enum ftx_rc rc;

	if (linkat(v->from_dir, v->from, v->to_dir, v->to, 0) != 0)
		return move_rc(errno);
	rc = root_sync_names(r, v->to_dir);
	if (rc == FTX_OK && unlinkat(v->from_dir, v->from, 0) != 0)
		rc = ftx_rc_from_errno(errno);
	if (rc != FTX_OK)
		(void)unlinkat(v->to_dir, v->to, 0);
	return rc;
}

static enum ftx_rc
move_if_free(const struct root *r, const struct move *v)
{
#ifdef HAVE_RENAMEAT2
	if ((r->flags & ROOT_NO_RENAMEAT2) == 0) {
		if (renameat2(v->from_dir, v->from, v->to_dir, v->to, RENAME_NOREPLACE) == 0)
			return FTX_OK;
		if (errno != EINVAL && errno != ENOSYS && errno != EOPNOTSUPP)
			return move_rc(errno);
	}
#endif
	return move_by_link(r, v);
}

static enum ftx_rc
move_over(const struct move *v)
{
	return renameat(v->from_dir, v->from, v->to_dir, v->to) == 0 ? FTX_OK : move_rc(errno);
}

/* The new name first: so whenever power fails, the file has one. */
static enum ftx_rc
sync_move(const struct root *r, const struct move *v)
{
	struct stat from, to;
	enum ftx_rc rc = root_sync_names(r, v->to_dir);

	if (rc != FTX_OK)
		return rc;
	if (fstat(v->from_dir, &from) == 0 && fstat(v->to_dir, &to) == 0 &&
	    from.st_dev == to.st_dev && from.st_ino == to.st_ino)
		return FTX_OK;
	return root_sync_names(r, v->from_dir);
}

/* From one spelling to the same: nothing to be done, if it could be. */
static enum ftx_rc
stay(struct root *r, const char *name, const struct meta_version *if_version, struct meta *m)
{
	enum ftx_rc rc = names_stat(r, name, false, m);

	if (rc != FTX_OK)
		return rc;
	if (m->kind != META_FILE)
		return m->kind == META_DIRECTORY ? FTX_IS_DIRECTORY : FTX_NOT_REGULAR;
	return is_wanted(m, if_version) ? FTX_OK : FTX_OTHER_VERSION;
}

enum ftx_rc
names_rename(struct root *r, const char *from, const char *to, bool replace,
    const struct meta_version *if_version, struct meta *m)
{
	struct move v = { .from_dir = -1, .to_dir = -1 };
	enum ftx_rc rc;

	if (strcmp(from, to) == 0)
		return stay(r, from, if_version, m);
	rc = open_parent_of_old(r, 0, from, &v.from_dir, &v.from);
	if (rc == FTX_OK)
		rc = path_open_parent(r->fd, root_path_flags(r), to, &v.to_dir, &v.to);
	if (rc == FTX_OK)
		rc = look_at_move(&v, replace, if_version);
	if (rc != FTX_OK)
		goto out;
	rc = replace ? move_over(&v) : move_if_free(r, &v);
	if (rc == FTX_OK)
		rc = sync_move(r, &v);
	if (rc == FTX_OK)
		rc = meta_look(v.to_dir, v.to, false, m);
out:
	if (v.to_dir >= 0)
		close(v.to_dir);
	if (v.from_dir >= 0)
		close(v.from_dir);
	return rc;
}

/* Why that one is not to be removed so. */
static enum ftx_rc
judge_removal(const struct meta *m, bool directory, const struct meta_version *if_version)
{
	if (directory)
		return m->kind == META_DIRECTORY ? FTX_OK : FTX_NOT_DIRECTORY;
	if (m->kind == META_DIRECTORY)
		return FTX_IS_DIRECTORY;
	if (m->kind == META_OTHER)
		return FTX_NOT_REGULAR;
	return is_wanted(m, if_version) ? FTX_OK : FTX_OTHER_VERSION;
}

enum ftx_rc
names_remove(
    struct root *r, const char *name, bool directory, const struct meta_version *if_version)
{
	const char *leaf;
	struct meta m;
	int dir_fd;
	enum ftx_rc rc = open_parent_of_old(r, 0, name, &dir_fd, &leaf);

	if (rc != FTX_OK)
		return rc;
	rc = meta_look(dir_fd, leaf, false, &m);
	if (rc == FTX_OK)
		rc = judge_removal(&m, directory, if_version);
	if (rc == FTX_OK && unlinkat(dir_fd, leaf, directory ? AT_REMOVEDIR : 0) != 0) {
		if (directory && (errno == ENOTEMPTY || errno == EEXIST))
			rc = FTX_NOT_EMPTY;
		else
			rc = errno == EBUSY ? FTX_BUSY : ftx_rc_from_errno(errno);
	} else if (rc == FTX_OK)
		rc = root_sync_names(r, dir_fd);
	close(dir_fd);
	return rc;
}

static bool
is_stage_or_dot(const char *name)
{
	return strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
	       strncmp(name, PATH_STAGE_PREFIX, strlen(PATH_STAGE_PREFIX)) == 0;
}

bool
names_holds_only_stages(struct root *r, const char *name)
{
	const struct dirent *e;
	bool only = true;
	DIR *dir;
	int fd;

	if (path_open_dir(r->fd, root_path_flags(r), name, &fd) != FTX_OK)
		return false;
	dir = fdopendir(fd);
	if (dir == NULL) {
		close(fd);
		return false;
	}
	errno = 0;
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has it */
	while (only && (e = readdir(dir)) != NULL)
		only = is_stage_or_dot(e->d_name);
	only = only && errno == 0;
	closedir(dir);
	return only;
}
