/*
 * report.h - what a command tells: lines, a bar, a summary; or JSON, an object a line.
 * Layer: cli. Threads: the main one.
 * Tests: tests/system/test_commands.py
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "cli/commands.h"
#include "cli/progress.h"
#include "client/ftxfer.h"

/* Of a name that is made safe for a terminal; longer ones are cut. */
#define PATH_TEXT 2048
/* Of what the bar says of a file. */
#define LABEL_SIZE 96
/* Of the server's name with its port. */
#define SERVER_TEXT 280
/* Of why the connection failed. */
#define SAME_TEXT 512

struct report {
	const struct command *command;         /* borrowed */
	const struct command_options *options; /* borrowed */
	bool full_names;                       /* ls: not only the last component */
	bool to_terminal;                      /* standard output */
	struct progress bar;
	char label[LABEL_SIZE];
	uint64_t started, said;    /* ms of base/clock */
	enum ftxfer_status status; /* of the first failure */
	uint64_t files, bytes;     /* that were done */
	uint64_t resumed;          /* of the bytes, those that were there already */
	uint64_t existed;          /* of the files, those that were there already */
	char server[SERVER_TEXT];  /* what a failure of the connection begins with */
	char same[SAME_TEXT];      /* the last such failure */
	uint64_t same_count;       /* of so many items, one after the other */
	bool cancelled;            /* said once */
	bool waiting;              /* for a connection, as was said */
	bool moves;                /* the command moves content */
	bool takes_long;           /* it may, so that how far it is is shown */
};

void report_init(struct report *r, const struct command *command,
    const struct command_options *options, const struct ftxfer_remote *server, bool full_names,
    bool stdout_taken);
void report_event(struct report *r, const struct ftxfer_event *e);
/* From time to time, while it is to be shown. */
bool report_shows_progress(const struct report *r);
void report_progress(struct report *r, const struct ftxfer_totals *totals);
/* The summary. */
void report_end(struct report *r, const struct ftxfer_totals *totals);

/* report_json.c: the same as lines of JSON. */
void report_json_event(const struct ftxfer_event *e);
void report_json_progress(const struct ftxfer_totals *totals);
void report_json_end(const struct ftxfer_totals *totals, enum ftxfer_status status, uint64_t ms);

#endif
