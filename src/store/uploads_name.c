/* Uploads that have got their names, while nobody knows whether that is durable. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "store/path.h"
#include "store/root.h"
#include "store/uploads_private.h"

bool
uploads_is_that_file(const struct upload_record *r, const struct stat *st)
{
	const struct meta *m = &r->meta;

	return S_ISREG(st->st_mode) && (uint64_t)st->st_ino == r->ino &&
	       (uint64_t)st->st_size == m->size && st->st_mtim.tv_sec == m->mtime.tv_sec &&
	       st->st_mtim.tv_nsec == m->mtime.tv_nsec;
}

/*
 * Where it got its name by link(2) the stage's own may be there still. It goes now: later, with the
 * sweep, that would change the file for who has been told its version.
 */
static void
remove_other_names(struct root *r, int dir_fd, ino_t ino)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	const struct dirent *e;

	if (d == NULL && fd >= 0)
		close(fd);
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else has it */
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (strncmp(e->d_name, PATH_STAGE_PREFIX, strlen(PATH_STAGE_PREFIX)) == 0 &&
		    e->d_ino == ino && unlinkat(dir_fd, e->d_name, 0) != 0) {
			pthread_mutex_lock(&r->lock);
			r->unswept = true;
			pthread_mutex_unlock(&r->lock);
		}
	}
	if (d != NULL)
		closedir(d);
}

enum ftx_rc
uploads_settle_name(struct root *root, struct upload_record *r, int dir_fd, const char *leaf)
{
	struct digest_value digest = r->meta.digest;
	struct stat st;

	if (fstatat(dir_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
		return errno == ENOENT ? FTX_NOT_FOUND : FTX_IO;
	if (!uploads_is_that_file(r, &st))
		return FTX_NOT_FOUND;
	if (st.st_nlink > 1) {
		remove_other_names(root, dir_fd, st.st_ino);
		if (fstatat(dir_fd, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0)
			return FTX_IO;
	}
	if (root_sync_names(root, dir_fd) != FTX_OK)
		return FTX_NOT_DURABLE;
	r->time = st.st_ctim;
	r->unsynced |= !root_syncs(root);
	meta_of(&st, &r->meta);
	r->meta.digest = digest;
	return FTX_OK;
}

void
uploads_named(struct upload_claim *c)
{
	pthread_mutex_lock(&c->uploads->lock);
	(void)uploads_set_stage(c->uploads, c->upload, "");
	c->upload->record.state = UPLOAD_NAMED;
	pthread_mutex_unlock(&c->uploads->lock);
}

enum ftx_rc
uploads_sync_name(struct upload_claim *c, const char *name, struct upload_record *r)
{
	struct root *root = c->uploads->root;
	struct upload *up;
	const char *leaf;
	int dir_fd;
	enum ftx_rc rc = path_open_parent(root->fd, root_path_flags(root), name, &dir_fd, &leaf);

	if (rc == FTX_OK) {
		rc = uploads_settle_name(root, r, dir_fd, leaf);
		close(dir_fd);
	}
	if (rc != FTX_OK && rc != FTX_NOT_FOUND && rc != FTX_NO_PARENT)
		return FTX_NOT_DURABLE;
	if (rc != FTX_OK) {
		r->unsynced = true; /* it stood there, and nobody knows for how long */
		(void)clock_gettime(CLOCK_REALTIME, &r->time);
	}
	r->state = UPLOAD_PUBLISHED;
	pthread_mutex_lock(&c->uploads->lock);
	up = c->upload; /* it stays, for who has entered */
	up->record.state = r->state;
	up->record.meta = r->meta;
	up->record.time = r->time;
	up->record.unsynced = r->unsynced;
	uploads_write_down(c->uploads, up);
	pthread_mutex_unlock(&c->uploads->lock);
	uploads_note(c->uploads);
	return FTX_OK;
}
