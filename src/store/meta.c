#include "store/meta.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/path.h"
#include "store/stored_digest.h"

static void
version_of(const struct stat *st, struct meta_version *v)
{
	const uint64_t parts[] = { (uint64_t)st->st_ino, (uint64_t)st->st_size,
		(uint64_t)st->st_mtim.tv_sec, (uint64_t)st->st_mtim.tv_nsec,
		(uint64_t)st->st_ctim.tv_sec, (uint64_t)st->st_ctim.tv_nsec };
	struct digest_value short_one;

	if (digest_of(DIGEST_XXH128, parts, sizeof(parts), &short_one) != FTX_OK)
		return; /* of this kind it does not fail */
	v->len = digest_size(DIGEST_XXH128);
	memcpy(v->bytes, short_one.bytes, v->len);
}

void
meta_of(const struct stat *st, struct meta *m)
{
	*m = (struct meta){ .mtime = st->st_mtim, .mode = st->st_mode & 0777 };
	if (S_ISREG(st->st_mode)) {
		m->kind = META_FILE;
		m->size = (uint64_t)st->st_size;
		version_of(st, &m->version);
	} else if (S_ISDIR(st->st_mode))
		m->kind = META_DIRECTORY;
	else
		m->kind = S_ISLNK(st->st_mode) ? META_LINK : META_OTHER;
}

bool
meta_same_version(const struct meta_version *a, const struct meta_version *b)
{
	return a->len > 0 && a->len == b->len && memcmp(a->bytes, b->bytes, a->len) == 0;
}

/* Of what is open, which may be another one than was looked at. */
static void
add_digest(int dir_fd, const char *leaf, struct meta *m)
{
	struct stat st;
	int fd;

	if (path_open_file(dir_fd, leaf, &fd) != FTX_OK)
		return;
	if (fstat(fd, &st) == 0) {
		meta_of(&st, m);
		(void)stored_digest_read(fd, &st, &m->digest);
	}
	close(fd);
}

enum ftx_rc
meta_look(int dir_fd, const char *leaf, bool digests, struct meta *m)
{
	struct stat st;

	if (fstatat(dir_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return ftx_rc_from_errno(errno);
	meta_of(&st, m);
	if (digests && m->kind == META_FILE)
		add_digest(dir_fd, leaf, m);
	return FTX_OK;
}
