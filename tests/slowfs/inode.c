#include "slowfs/inode.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <uthash.h>

struct inode_key {
	dev_t dev;
	ino_t ino;
};

struct inode {
	UT_hash_handle hh;
	struct inode_key key;
	int fd; /* owned */
	uint64_t known;
};

struct inode_table {
	struct inode *inodes; /* hash of owned */
	struct inode root;
};

struct inode_table *
inode_table_new(const char *dir)
{
	struct inode_table *t = calloc(1, sizeof(*t));

	if (t == NULL)
		return NULL;
	t->root.fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t->root.fd < 0) {
		free(t);
		return NULL;
	}
	return t;
}

static struct inode *
inode_of(fuse_ino_t ino)
{
	return (
	    struct inode *)(uintptr_t)ino; /* NOLINT(performance-no-int-to-ptr): ours, given back */
}

int
inode_fd(const struct inode_table *t, fuse_ino_t ino)
{
	return ino == FUSE_ROOT_ID ? t->root.fd : inode_of(ino)->fd;
}

void
inode_path(const struct inode_table *t, fuse_ino_t ino, char path[32])
{
	snprintf(path, 32, "/proc/self/fd/%d", inode_fd(t, ino));
}

int
inode_lookup(struct inode_table *t, fuse_ino_t parent, const char *name, struct fuse_entry_param *e)
{
	struct inode_key key;
	struct inode *i;
	int fd = openat(inode_fd(t, parent), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);

	memset(e, 0, sizeof(*e));
	if (fd < 0 || fstat(fd, &e->attr) != 0) {
		int err = errno;

		if (fd >= 0)
			close(fd);
		return err;
	}
	memset(&key, 0, sizeof(key)); /* its padding counts, too */
	key.dev = e->attr.st_dev;
	key.ino = e->attr.st_ino;
	HASH_FIND(hh, t->inodes, &key, sizeof(key), i);
	if (i != NULL)
		close(fd);
	else {
		i = calloc(1, sizeof(*i));
		if (i == NULL) {
			close(fd);
			return ENOMEM;
		}
		memcpy(&i->key, &key, sizeof(key));
		i->fd = fd;
		HASH_ADD(hh, t->inodes, key, sizeof(i->key), i);
	}
	i->known++;
	e->ino = (uintptr_t)i;
	e->attr_timeout = e->entry_timeout = FOR_EVER;
	return 0;
}

void
inode_forget(struct inode_table *t, fuse_ino_t ino, uint64_t count)
{
	struct inode *i;

	if (ino == FUSE_ROOT_ID)
		return;
	i = inode_of(ino);
	i->known -= count < i->known ? count : i->known;
	if (i->known > 0)
		return;
	HASH_DEL(t->inodes, i);
	close(i->fd);
	free(i);
}
