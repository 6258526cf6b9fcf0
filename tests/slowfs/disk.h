/*
 * disk.h - what slowfs makes of a disk: three queues (writes, reads, syncs), each with a thread
 * that serves one request after the other, no faster than its rate, and none while it is held.
 * Threads: all but the queues' own are called on the main thread.
 * Tests: tests/system/test_slowfs.py
 */
#ifndef SLOWFS_DISK_H
#define SLOWFS_DISK_H

#define FUSE_USE_VERSION 310

#include <fuse_lowlevel.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

enum disk_kind { DISK_WRITE, DISK_READ, DISK_SYNC, DISK_KIND_COUNT };

struct disk;

struct disk_speed {
	uint64_t write_rate; /* bytes a second; 0: no limit */
	uint64_t read_rate;  /* the same */
	uint64_t sync_ns;    /* what a sync takes, or several that wait at the same time */
};

/* NULL: no memory, or no threads. There is no way to free it: it ends with the process. */
struct disk *disk_new(const struct disk_speed *speed);
/*
 * These answer the request, later and on another thread. fd stays open until then: the kernel
 * releases no file that has a request under way. The data is copied.
 */
void disk_write(struct disk *d, fuse_req_t req, int fd, const char *data, size_t len, off_t offset);
void disk_read(struct disk *d, fuse_req_t req, int fd, size_t len, off_t offset);
void disk_sync(struct disk *d, fuse_req_t req, int fd, bool data_only);

/* From now on no request is begun until it is released. One that is being served goes on. */
void disk_set_held(struct disk *d, enum disk_kind kind, bool held);
/* One line: of each kind how many requests wait, or have their turn, and how many had it. */
void disk_print(struct disk *d, FILE *out);
/* The kind of that name, or DISK_KIND_COUNT. */
enum disk_kind disk_kind_of(const char *name);

#endif
