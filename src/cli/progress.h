/*
 * progress.h - the bar on a terminal.
 * Layer: cli. Threads: the main one.
 * Tests: tests/unit/test_progress.c
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	bool shown;        /* there is a bar on the screen now */
	bool enabled;      /* standard error is a terminal, and nobody asked for silence */
	bool colour;       /* unless NO_COLOR is set (no-color.org) */
	const char *label; /* borrowed */
	uint64_t started;  /* ms of base/clock */
};

void progress_init(struct progress *p, const char *label, bool quiet);
/* Draws it anew; total 0: not known yet. */
void progress_show(struct progress *p, uint64_t moved, uint64_t total);
/* A line of its own instead: where there is nothing to be counted. */
void progress_say(struct progress *p, const char *text);
/* Takes it off the screen, so that a line can be printed. */
void progress_hide(struct progress *p);

/* "5.0 MiB"; buf of at least 16 bytes. */
const char *progress_bytes(char *buf, size_t size, uint64_t bytes);
/* The line itself, at most `columns` wide, into buf. elapsed in ms. */
void progress_line(char *buf, size_t size, const char *label, uint64_t moved, uint64_t total,
    uint64_t elapsed, unsigned columns);

#endif
