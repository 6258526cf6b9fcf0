#include "store/reader.h"

#include <errno.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "store/iov.h"
#include "store/path.h"

void
reader_init(struct reader *rd)
{
	rd->fd = -1;
	rd->size = 0;
	rd->mtime = (struct timespec){ 0 };
}

void
reader_close(struct reader *rd)
{
	if (rd->fd >= 0)
		close(rd->fd);
	rd->fd = -1;
}

enum ftx_rc
reader_open(struct reader *rd, struct root *r, const char *name)
{
	struct stat st;
	const char *leaf;
	int dir_fd;
	enum ftx_rc rc;

	reader_init(rd);
	rc = path_open_parent(r->fd, root_path_flags(r) | PATH_SEARCH_ONLY, name, &dir_fd, &leaf);
	if (rc != FTX_OK)
		return rc;
	rc = path_open_file(dir_fd, leaf, &rd->fd);
	close(dir_fd);
	if (rc != FTX_OK)
		return rc;
	if (fstat(rd->fd, &st) != 0) {
		reader_close(rd);
		return FTX_IO;
	}
	rd->size = (uint64_t)st.st_size;
	rd->mtime = st.st_mtim;
	return FTX_OK;
}

static bool
is_same_version(const struct reader *rd)
{
	struct stat st;

	return fstat(rd->fd, &st) == 0 && (uint64_t)st.st_size == rd->size &&
	       st.st_mtim.tv_sec == rd->mtime.tv_sec && st.st_mtim.tv_nsec == rd->mtime.tv_nsec;
}

enum ftx_rc
reader_read(struct reader *rd, struct iovec *iov, int count, uint64_t offset)
{
	while (count > 0) {
		ssize_t n = preadv(rd->fd, iov, count, (off_t)offset);

		if (n < 0) {
			if (errno == EINTR)
				continue;
			return ftx_rc_from_errno(errno);
		}
		if (n == 0)
			return FTX_CHANGED;
		offset += (uint64_t)n;
		iov_advance(&iov, &count, (size_t)n);
	}
	return offset < rd->size || is_same_version(rd) ? FTX_OK : FTX_CHANGED;
}
