/*
 * source.h - a configuration file and all that it includes, as one text. Inner part of conf.
 * Layer: conf. Threads: start-up only. Blocks (reads files).
 * Tests: tests/unit/test_conf_include.c, tests/fuzz/fuzz_conf.c
 *
 * libconfig gets a text in which no @include is left and no integer has zeros in front. So it opens
 * no files, its versions do not differ in what they read, and it parses exactly what was checked.
 */
#ifndef CONF_SOURCE_H
#define CONF_SOURCE_H

#include <stdbool.h>
#include <stddef.h>

#include "conf/option.h"

#define SOURCE_DEPTH_MAX 10                    /* of includes in includes, as libconfig's */
#define SOURCE_SIZE_MAX  ((size_t)1024 * 1024) /* bytes of all files together */

/* From this line of the text on, until the next part: which file, and which line of it. */
struct source_part {
	unsigned text_line;
	size_t file;
	unsigned line;
};

struct source {
	char *text; /* owned; ends with NUL and holds no other */
	size_t len, room;
	unsigned line;             /* of its end, from 1 */
	size_t read;               /* bytes of files so far */
	struct source_part *parts; /* owned */
	size_t part_count;
	char **files; /* owned, each too: their names, as opened */
	size_t file_count;
};

/*
 * Reads all of it. On false err says why and nothing is owned; *missing: there is no file of that
 * name.
 */
bool source_read(struct source *src, const char *path, bool *missing, struct option_error *err);
void source_clear(struct source *src);

/* Says in err where that line of the text comes from. */
void source_locate(const struct source *src, unsigned text_line, struct option_error *err);

#endif
