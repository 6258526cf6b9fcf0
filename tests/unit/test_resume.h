/*
 * test_resume.h - for tests: an upload `new` of LEN bytes that is known by its key, in the daemon's
 * own root.
 */
#ifndef UNIT_TEST_RESUME_H
#define UNIT_TEST_RESUME_H

#include "store/uploads.h"
#include "unit/test_store.h"

#define LEN ((size_t)2 * CHUNK_SIZE + 5000)

extern uint8_t content[LEN];
extern struct upload_terms terms; /* kept, of LEN bytes */
extern struct put_spec spec;      /* with these terms */

void resume_set_up(void);
void start(void);
void restart(void); /* all is closed, and read again */
/* OPEN, and how it ended. */
enum ftx_rc begin(struct owner *o);
/* From there on all of it, in as many steps as it takes, and the commit. */
enum ftx_rc put_rest(struct owner *o, uint64_t from);
/* A try that ends after so many bytes. */
void leave_behind(size_t len);
/* How many names there are, but for the state directory. */
int files_in_root(void);

#endif
