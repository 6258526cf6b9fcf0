/*
 * passthrough.h - what slowfs answers the kernel: names, attributes and space at once, from the
 * directory below; content and syncs through the disk's queues.
 * Threads: the main thread.
 * Tests: tests/system/test_slowfs.py
 */
#ifndef SLOWFS_PASSTHROUGH_H
#define SLOWFS_PASSTHROUGH_H

#include "slowfs/disk.h"
#include "slowfs/inode.h"

struct passthrough {
	struct inode_table *inodes; /* borrowed */
	struct disk *disk;          /* borrowed */
	bool write_through;         /* the kernel keeps no dirty pages: each write(2) waits */
};

/* To be given a struct passthrough. */
extern const struct fuse_lowlevel_ops passthrough_ops;

#endif
