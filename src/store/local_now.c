/* A small file of a local directory in memory, in one call on the loop. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop/worker.h"
#include "store/local_private.h"
#include "store/stage_dir.h"
#include "store/stored_digest.h"

static void
forget_dir(struct mail *m)
{
	struct local_store *ls =
	    (struct local_store *)((char *)m - offsetof(struct local_store, now_mail));

	ls->now_due = false;
	stage_dir_release(ls->now_dir);
	ls->now_dir = NULL;
	worker_release(ls->store.worker);
}

/*
 * Found once for all that are asked for in one turn of the loop: what became of it in between is as
 * if that had been a moment later. False: it is not in memory, or there is none.
 */
static bool
find_dir(struct local_store *ls, const char *name, const char **leaf)
{
	struct stage_dir *dir;

	if (!ls->now_due) {
		ls->now_due = true;
		ls->now_mail.deliver = forget_dir;
		worker_hold(ls->store.worker);
		worker_soon(ls->store.worker, &ls->now_mail);
	}
	if (stage_dir_open(ls->root, name, &ls->now_dir, &dir, leaf) != FTX_OK)
		return false;
	stage_dir_release(dir); /* the store's own hold suffices */
	return dir->ino != 0 && dir->dev == ls->root->dev;
}

static bool
is_small(const struct stat *st, const struct root *r, size_t room)
{
	return S_ISREG(st->st_mode) && st->st_dev == r->dev && (uint64_t)st->st_size <= room;
}

/*
 * All of it, and no mixture of two versions: the content is what the digest says that was stored
 * for this size and time. XXH3-128, since it takes less time than to look any other way.
 */
static bool
read_whole(int fd, const struct root *r, void *p, size_t room, struct meta *m)
{
	struct digest_value read;
	struct stat st;

	if (fstat(fd, &st) != 0 || !is_small(&st, r, room))
		return false;
	meta_of(&st, m);
	return stored_digest_read(fd, &st, &m->digest) && m->digest.kind == DIGEST_XXH128 &&
	       pread(fd, p, (size_t)m->size, 0) == (ssize_t)m->size &&
	       digest_of(DIGEST_XXH128, p, (size_t)m->size, &read) == FTX_OK &&
	       digest_equal(&read, &m->digest);
}

bool
local_get_now(struct store *s, const char *name, void *p, size_t room, struct meta *m)
{
	struct local_store *ls = (struct local_store *)s;
	const char *leaf;
	struct stat st;
	bool done;
	int fd;

	/* It is looked at before it is opened: no device or FIFO is touched. */
	if (!ls->root->in_memory || !find_dir(ls, name, &leaf) ||
	    fstatat(ls->now_dir->fd, leaf, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
	    !is_small(&st, ls->root, room))
		return false;
	fd = openat(
	    ls->now_dir->fd, leaf, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return false;
	done = read_whole(fd, ls->root, p, room, m);
	close(fd);
	return done;
}
