/*
 * reader.h - an existing file on its way out: the version that was opened, or an error.
 * Layer: store. Threads: every call may block (pool), one at a time on a reader.
 * Tests: tests/unit/test_store_get.c, test_store_reader.c, tests/system/test_races.py
 */
#ifndef STORE_READER_H
#define STORE_READER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/rc.h"
#include "store/meta.h"
#include "store/root.h"

struct iovec;

struct reader {
	int fd;           /* owned; -1: none */
	struct meta meta; /* of the file as it was opened, without digest */
	uint64_t size;
	uint64_t end; /* what is behind it is not read: the size, unless somebody says so */
	struct timespec mtime, ctime; /* with size, what tells one version from another */
	nlink_t links;
	dev_t dev;
	ino_t ino;
	struct root *root; /* borrowed, as the name: both outlive the reader */
	const char *name;
	bool in_memory; /* root_is_memory() */
	bool settled;   /* a change from here on will show */
	bool has_name;  /* or had one when the end had just been read */
	bool no_nowait; /* this file system does not read without waiting */
};

void reader_init(struct reader *rd);
/*
 * FTX_NOT_FOUND, FTX_NOT_REGULAR, FTX_NO_PARENT, ... On failure the reader is closed; else root and
 * name must stay until it is.
 */
enum ftx_rc reader_open(struct reader *rd, struct root *r, const char *name) FTX_MUST_CHECK;
/*
 * Fills the vector, which it may change, from offset. FTX_CHANGED when the file ends before that,
 * or when it was changed since it was opened and this read reaches rd->end, so that no mixture of
 * two versions is ever handed out whole: also by who sets its time back. Renaming, replacing,
 * removing or linking it changes nothing; its owner or mode do. What is not noticed: writing
 * through a mapping (mmap(2)) that was written to before, or past the page cache (O_DIRECT); what
 * happens on other hosts of a network file system; changes that come with one of its names.
 */
enum ftx_rc reader_read(
    struct reader *rd, struct iovec *iov, int count, uint64_t offset) FTX_MUST_CHECK;
/*
 * After the last reader_read() of less than the whole file: FTX_CHANGED as it would say there at
 * the end.
 */
enum ftx_rc reader_check(const struct reader *rd) FTX_MUST_CHECK;
/* The digest that is stored with the file as it was opened; DIGEST_NONE: there is none. */
void reader_stored_digest(const struct reader *rd, struct digest_value *v);
void reader_close(struct reader *rd);

/* The same without waiting for anything; on the worker, while no job has the reader. */
/* False, whatever the reason: reader_open() will tell. */
bool reader_open_now(struct reader *rd, struct root *r, const char *name);
/*
 * Reads up to len bytes; returns how many, perhaps fewer than there are. 0: reader_read() is the
 * way, and will tell what is wrong, if anything is.
 */
size_t reader_read_now(struct reader *rd, void *p, size_t len, uint64_t offset);
/*
 * All of a small file of a client's, there and then; as store_get_whole() says. Opens and closes a
 * reader of its own.
 */
bool reader_take_whole(
    struct root *r, const char *name, size_t most, uint8_t **content, size_t *len);
/* How many of the len bytes from offset can be read without waiting. */
size_t reader_resident(const struct reader *rd, uint64_t offset, size_t len);
/* Closing it frees no blocks: as far as is known the file has a name. True of a closed one. */
bool reader_close_is_quick(const struct reader *rd);

#endif
