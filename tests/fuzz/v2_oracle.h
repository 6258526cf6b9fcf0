/*
 * v2_oracle.h - what must hold after a session of fuzz_v2_session.
 */
#ifndef FUZZ_V2_ORACLE_H
#define FUZZ_V2_ORACLE_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "fuzz/check.h"

/* All content is of one letter, and the longest of so many. */
#define LETTER   'a'
#define CONTENTS ((size_t)1048577)

extern uint8_t letters[CONTENTS];

/* What the half said: a preface, and frames that a client takes. The last one may be cut off. */
void oracle_frames(const uint8_t *heard, size_t len);
/* Whatever has a name is whole: of nothing but the letter. fd, a directory, is closed. */
void oracle_files(int fd);
/*
 * The root has been closed. What a next start finds of unfinished uploads is known to it; and when
 * that is kept no longer, nothing is left.
 */
void oracle_kept(const char *dir);

#endif
