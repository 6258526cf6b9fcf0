/*
 * stage_private.h - what the files of a stage share; nobody else includes it.
 * Layer: store. Threads: as in stage.h.
 * Tests: see stage.h
 */
#ifndef STORE_STAGE_PRIVATE_H
#define STORE_STAGE_PRIVATE_H

#include "store/stage.h"

struct stat;

/* Closes all; s is empty afterwards. */
void stage_close(struct stage *s);
/* A new file with a reserved name, in the open directory. */
enum ftx_rc stage_open_named(struct stage *s, struct root *r) FTX_MUST_CHECK;
/*
 * The same, with the name that is found again: the file that is there, of *have bytes, or (make) a
 * new one. FTX_NOT_FOUND, or whatever stands in the way: it is not to be had.
 */
enum ftx_rc stage_open_part(struct stage *s, bool make, uint64_t *have) FTX_MUST_CHECK;
/* st: of what has the name; NULL: nothing has. FTX_OTHER_VERSION: it is not what was asked for. */
enum ftx_rc stage_look_at_version(const struct stage *s, const struct stat *st) FTX_MUST_CHECK;

#endif
