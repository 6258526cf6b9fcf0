#include "store/settle.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/path.h"
#include "store/stored_digest.h"

static bool
same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

/* Only what is not so already: each change is one to whoever reads the file just now. */
static enum ftx_rc
set_attrs(const struct root *r, int fd, const struct stat *st, const struct settle_attrs *attrs)
{
	const struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, attrs->mtime };

	if (attrs->has_mtime && !same_time(&attrs->mtime, &st->st_mtim)) {
		if (futimens(fd, times) != 0)
			return ftx_rc_from_errno(errno);
		if (root_syncs(r) || root_is_memory(r, fd, st->st_dev))
			(void)stored_digest_write(fd, &attrs->digest);
	}
	if (attrs->has_mode && attrs->mode != (st->st_mode & 0777) && fchmod(fd, attrs->mode) != 0)
		return ftx_rc_from_errno(errno);
	return FTX_OK;
}

static enum ftx_rc
settle_file(const struct root *r, int fd, const struct meta_version *version,
    const struct settle_attrs *attrs, struct meta *m)
{
	struct stat st;
	enum ftx_rc rc;

	if (fstat(fd, &st) != 0)
		return FTX_IO;
	meta_of(&st, m);
	if (!meta_same_version(&m->version, version))
		return FTX_OTHER_VERSION;
	rc = set_attrs(r, fd, &st, attrs);
	if (rc == FTX_OK && root_syncs(r) && fsync(fd) != 0)
		rc = root_not_durable(errno);
	if (rc == FTX_OK && fstat(fd, &st) != 0)
		rc = FTX_IO;
	if (rc == FTX_OK)
		meta_of(&st, m);
	return rc;
}

enum ftx_rc
settle_existing(struct root *r, const char *name, const struct meta_version *version,
    const struct settle_attrs *attrs, struct meta *m)
{
	const char *leaf;
	int dir_fd, fd;
	enum ftx_rc rc = path_open_parent(r->fd, root_path_flags(r), name, &dir_fd, &leaf);

	if (rc != FTX_OK)
		return rc == FTX_NO_PARENT ? FTX_NOT_FOUND : rc;
	rc = path_open_file(dir_fd, leaf, &fd);
	if (rc == FTX_OK) {
		rc = settle_file(r, fd, version, attrs, m);
		close(fd);
	}
	if (rc == FTX_OK)
		rc = root_sync_names(r, dir_fd);
	close(dir_fd);
	return rc;
}
