#include "store/space.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* A file system that uploads went to. Never freed before the space: holds point here. */
struct space_fs {
	SLIST_ENTRY(space_fs) link;
	dev_t dev;
	pthread_mutex_t admission; /* held while the free space is looked at */
	pthread_cond_t allocated;  /* one of those below has ended */
	/* Bytes that are being allocated: how much of them is taken already, nobody can say. */
	uint64_t allocating;           /* under `admission` */
	atomic_uint_fast64_t promised; /* bytes; added to under `admission`, given back by anyone */
};

struct space {
	pthread_mutex_t lock; /* guards what follows */
	SLIST_HEAD(space_fs_list, space_fs) list;
	uint64_t max;  /* bytes of all promises; 0: no limit */
	uint64_t held; /* of it: by promises that are kept or being looked at */
};

enum ftx_rc
space_new(struct space **out)
{
	struct space *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return FTX_NOMEM;
	pthread_mutex_init(&s->lock, NULL);
	SLIST_INIT(&s->list);
	*out = s;
	return FTX_OK;
}

void
space_free(struct space *s)
{
	struct space_fs *fs;

	if (s == NULL)
		return;
	while ((fs = SLIST_FIRST(&s->list)) != NULL) {
		SLIST_REMOVE_HEAD(&s->list, link);
		pthread_cond_destroy(&fs->allocated);
		pthread_mutex_destroy(&fs->admission);
		free(fs);
	}
	pthread_mutex_destroy(&s->lock);
	free(s);
}

void
space_set_max(struct space *s, uint64_t bytes)
{
	s->max = bytes;
}

/* Taken before the free space is looked at, so that never more than the most is allocated. */
static enum ftx_rc
take_share(struct space *s, uint64_t size)
{
	enum ftx_rc rc = FTX_OK;

	pthread_mutex_lock(&s->lock);
	if (size > s->max - s->held)
		rc = FTX_STAGE_FULL;
	else
		s->held += size;
	pthread_mutex_unlock(&s->lock);
	return rc;
}

static void
return_share(struct space *s, uint64_t size)
{
	pthread_mutex_lock(&s->lock);
	s->held -= size;
	pthread_mutex_unlock(&s->lock);
}

static struct space_fs *
space_find(struct space *s, dev_t dev)
{
	struct space_fs *fs;

	pthread_mutex_lock(&s->lock);
	fs = SLIST_FIRST(&s->list);
	while (fs != NULL && fs->dev != dev)
		fs = SLIST_NEXT(fs, link);
	if (fs == NULL && (fs = calloc(1, sizeof(*fs))) != NULL) {
		fs->dev = dev;
		pthread_mutex_init(&fs->admission, NULL);
		pthread_cond_init(&fs->allocated, NULL);
		SLIST_INSERT_HEAD(&s->list, fs, link);
	}
	pthread_mutex_unlock(&s->lock);
	return fs;
}

static uint64_t
multiply(uint64_t a, uint64_t b)
{
	uint64_t product;

	return __builtin_mul_overflow(a, b, &product) ? UINT64_MAX : product;
}

static uint64_t
add(uint64_t a, uint64_t b)
{
	uint64_t sum;

	return __builtin_add_overflow(a, b, &sum) ? UINT64_MAX : sum;
}

/* Blocks for the unprivileged (statvfs(3) f_bavail), in bytes, and the size of one. Saturates. */
static enum ftx_rc
available(int fd, uint64_t *bytes, uint64_t *block)
{
	struct statvfs v;

	if (fstatvfs(fd, &v) != 0)
		return FTX_IO;
	*block = v.f_frsize;
	*bytes = multiply(v.f_bavail, *block);
	return FTX_OK;
}

/*
 * What a file of that size may take of a file system that does not say so beforehand: whole blocks,
 * those that point to them (8 bytes each, in up to three levels), and one for its name.
 */
static uint64_t
with_overhead(uint64_t size, uint64_t block)
{
	uint64_t blocks;

	if (block < 512) /* no blocks, but bytes */
		return size;
	blocks = size / block + (size % block != 0 ? 1 : 0);
	return multiply(blocks + blocks / (block / 8 - 1) + 4, block);
}

bool
space_has(int fd, uint64_t size)
{
	uint64_t avail, block;

	return available(fd, &avail, &block) == FTX_OK && with_overhead(size, block) <= avail;
}

/*
 * FTX_UNSUPPORTED: the file system allocates only as it is written to. Not posix_fallocate(3): it
 * would write the zeroes itself.
 */
static enum ftx_rc
allocate(int fd, uint64_t from, uint64_t size, bool beyond)
{
#ifdef HAVE_FALLOCATE
	int err;

	do {
		err = fallocate(fd, beyond ? FALLOC_FL_KEEP_SIZE : 0, (off_t)from, (off_t)size) == 0
			  ? 0
			  : errno;
	} while (err == EINTR);
	if (err == 0)
		return FTX_OK;
	/* ext4 keeps what it had got hold of until the file is cut. */
	if (ftruncate(fd, (off_t)from) != 0)
		return FTX_IO;
	return ftx_rc_from_errno(err);
#else
	(void)fd;
	(void)from;
	(void)beyond;
	(void)size;
	return FTX_UNSUPPORTED;
#endif
}

/*
 * Whether there is room for so much more; the lock is held. What is being allocated counts in full,
 * though some of it may be taken from what is free already: so who finds too little while others
 * allocate waits for them, and looks again. *block: what the file system counts in.
 */
static enum ftx_rc
look_for_room(struct space_fs *fs, int fd, uint64_t size, bool overhead, uint64_t *block)
{
	for (;;) {
		uint64_t avail, taken, need = size;
		/* First, since what is written meanwhile is taken from both: never from neither. */
		uint64_t promised = atomic_load(&fs->promised);
		enum ftx_rc rc = available(fd, &avail, block);

		if (rc != FTX_OK)
			return rc;
		if (overhead)
			need = with_overhead(size, *block);
		taken = add(promised, fs->allocating);
		if (taken <= avail && need <= avail - taken)
			return FTX_OK;
		if (fs->allocating == 0)
			return FTX_NO_SPACE;
		pthread_cond_wait(&fs->allocated, &fs->admission);
	}
}

/* The file system only allocates as it is written to: the promise is ours to keep. */
static enum ftx_rc
promise(struct space_fs *fs, int fd, uint64_t size, struct space_hold *hold)
{
	uint64_t block;
	enum ftx_rc rc = look_for_room(fs, fd, size, true, &block);

	if (rc != FTX_OK)
		return rc;
	hold->fs = fs;
	hold->bytes += with_overhead(size, block);
	atomic_fetch_add(&fs->promised, with_overhead(size, block));
	return FTX_OK;
}

static enum ftx_rc
find_fs(struct space *s, int fd, struct space_fs **fs)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return FTX_IO;
	*fs = space_find(s, st.st_dev);
	return *fs != NULL ? FTX_OK : FTX_NOMEM;
}

/* What the file system has, or keeps itself once it is allocated: which may take long. */
static enum ftx_rc
admit(struct space *s, int fd, uint64_t from, uint64_t size, bool beyond, struct space_hold *hold)
{
	struct space_fs *fs;
	uint64_t block;
	enum ftx_rc rc = find_fs(s, fd, &fs);

	if (rc != FTX_OK)
		return rc;
	pthread_mutex_lock(&fs->admission);
	rc = look_for_room(fs, fd, size, false, &block);
	if (rc != FTX_OK)
		goto out;
	fs->allocating += size;
	pthread_mutex_unlock(&fs->admission);
	rc = allocate(fd, from, size, beyond);
	pthread_mutex_lock(&fs->admission);
	fs->allocating -= size;
	if (rc == FTX_UNSUPPORTED)
		rc = promise(fs, fd, size, hold);
	pthread_cond_broadcast(&fs->allocated);
out:
	pthread_mutex_unlock(&fs->admission);
	return rc;
}

enum ftx_rc
space_keep(struct space *s, uint64_t size, struct space_hold *hold)
{
	enum ftx_rc rc;

	if (s->max == 0)
		return FTX_OK;
	rc = take_share(s, size);
	if (rc != FTX_OK)
		return rc;
	hold->space = s;
	hold->share += size;
	return FTX_OK;
}

static void
give_up_share(struct space *s, uint64_t size, struct space_hold *hold)
{
	if (s->max == 0)
		return;
	return_share(s, size);
	hold->share -= size;
}

enum ftx_rc
space_promise(struct space *s, int fd, uint64_t size, struct space_hold *hold)
{
	struct space_fs *fs;
	enum ftx_rc rc = space_keep(s, size, hold);

	if (rc != FTX_OK)
		return rc;
	rc = find_fs(s, fd, &fs);
	if (rc == FTX_OK) {
		pthread_mutex_lock(&fs->admission);
		rc = promise(fs, fd, size, hold);
		pthread_mutex_unlock(&fs->admission);
	}
	if (rc != FTX_OK)
		give_up_share(s, size, hold);
	return rc;
}

static enum ftx_rc
extend(struct space *s, int fd, uint64_t from, uint64_t size, bool beyond, struct space_hold *hold)
{
	enum ftx_rc rc;

	if (size > INT64_MAX || from > (uint64_t)INT64_MAX - size)
		return FTX_TOO_LARGE;
	if (size == 0)
		return FTX_OK;
	rc = space_keep(s, size, hold);
	if (rc != FTX_OK)
		return rc;
	rc = admit(s, fd, from, size, beyond, hold);
	if (rc != FTX_OK)
		give_up_share(s, size, hold);
	return rc;
}

enum ftx_rc
space_reserve(struct space *s, int fd, uint64_t size, struct space_hold *hold)
{
	return extend(s, fd, 0, size, false, hold);
}

enum ftx_rc
space_extend(struct space *s, int fd, uint64_t from, uint64_t size, struct space_hold *hold)
{
	return extend(s, fd, from, size, false, hold);
}

enum ftx_rc
space_extend_beyond(struct space *s, int fd, uint64_t from, uint64_t size, struct space_hold *hold)
{
	return extend(s, fd, from, size, true, hold);
}

void
space_written(struct space_hold *hold, uint64_t bytes)
{
	if (hold->fs == NULL)
		return;
	if (bytes > hold->bytes)
		bytes = hold->bytes;
	atomic_fetch_sub(&hold->fs->promised, bytes);
	hold->bytes -= bytes;
}

void
space_keep_only(struct space_hold *hold, uint64_t bytes)
{
	space_written(hold, UINT64_MAX);
	if (hold->space == NULL || hold->share <= bytes)
		return;
	return_share(hold->space, hold->share - bytes);
	hold->share = bytes;
}

static uint64_t
above(uint64_t most, uint64_t have, uint64_t more)
{
	uint64_t all = add(have, more);

	return all > most ? all - most : 0;
}

enum ftx_rc
space_lacks(struct space *s, int fd, uint64_t size, struct space_lack *lack)
{
	uint64_t avail, block, taken;
	struct space_fs *fs;
	struct stat st;

	if (fstat(fd, &st) != 0 || available(fd, &avail, &block) != FTX_OK)
		return FTX_IO;
	fs = space_find(s, st.st_dev);
	if (fs == NULL)
		return FTX_NOMEM;
	pthread_mutex_lock(&fs->admission);
	taken = add(atomic_load(&fs->promised), fs->allocating);
	pthread_mutex_unlock(&fs->admission);
	*lack = (struct space_lack){ .dev = st.st_dev };
	lack->bytes = above(avail, taken, with_overhead(size, block));
	pthread_mutex_lock(&s->lock);
	if (s->max > 0)
		lack->share = above(s->max, s->held, size);
	pthread_mutex_unlock(&s->lock);
	if (lack->bytes == 0 && lack->share == 0)
		lack->bytes = size;
	return FTX_OK;
}

void
space_release(struct space_hold *hold)
{
	space_written(hold, UINT64_MAX);
	if (hold->space != NULL)
		return_share(hold->space, hold->share);
	*hold = (struct space_hold){ 0 };
}
