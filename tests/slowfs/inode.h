/*
 * inode.h - the files and directories that the kernel knows by a number from us, and the names of
 * which we keep nothing: each is held by a descriptor that can only be looked at (O_PATH).
 * Threads: the main thread.
 */
#ifndef SLOWFS_INODE_H
#define SLOWFS_INODE_H

#define FUSE_USE_VERSION 310

#include <fuse_lowlevel.h>
#include <stdint.h>
#include <sys/stat.h>

/* Nobody else changes the directory: what the kernel has been told stays true. */
#define FOR_EVER 86400.0

struct inode_table;

/* dir: the directory that is passed through, kept until the process ends. NULL: errno says why. */
struct inode_table *inode_table_new(const char *dir);
/* O_PATH. */
int inode_fd(const struct inode_table *t, fuse_ino_t ino);
/* A way to the same file for calls that take no such descriptor. */
void inode_path(const struct inode_table *t, fuse_ino_t ino, char path[32]);
/* What stands under that name; the kernel knows it once more afterwards. 0, or an errno value. */
int inode_lookup(
    struct inode_table *t, fuse_ino_t parent, const char *name, struct fuse_entry_param *e);
/* The kernel knows it count times less. */
void inode_forget(struct inode_table *t, fuse_ino_t ino, uint64_t count);

#endif
