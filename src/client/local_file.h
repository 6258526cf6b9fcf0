/*
 * local_file.h - from the name of a local file, as a user gave it, to a directory and a name in it.
 * Layer: client. Threads: blocks (pool, or before a loop runs).
 * Tests: tests/unit/test_local_file.c
 */
#ifndef CLIENT_LOCAL_FILE_H
#define CLIENT_LOCAL_FILE_H

#include "base/rc.h"

struct local_file {
	char *dir;  /* owned */
	char *leaf; /* owned */
};

/* An existing regular file, wherever its links lead. FTX_NOT_FOUND, FTX_NOT_REGULAR, FTX_ACCESS. */
enum ftx_rc local_file_source(struct local_file *f, const char *path) FTX_MUST_CHECK;
/*
 * A file to be made or replaced: a link's target is what is meant, there or not yet. What is
 * neither file nor directory is meant itself. FTX_NOT_REGULAR: a directory. Whether dir is there is
 * not looked at: root_open() says so.
 */
enum ftx_rc local_file_target(struct local_file *f, const char *path) FTX_MUST_CHECK;
void local_file_clear(struct local_file *f);

#endif
