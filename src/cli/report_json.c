#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/utf8.h"
#include "cli/report.h"

/* The names are those of ftxfer(1), "JSON". Numbers are JSON's integers, of 63 bits at most. */

static const char *const types[] = {
	[FTXFER_EVENT_STARTED] = "started",
	[FTXFER_EVENT_ENTRY] = "entry",
	[FTXFER_EVENT_DONE] = "done",
	[FTXFER_EVENT_SKIPPED] = "skipped",
	[FTXFER_EVENT_FAILED] = "failed",
	[FTXFER_EVENT_RETRYING] = "retrying",
	[FTXFER_EVENT_WAITING] = "waiting",
	[FTXFER_EVENT_CONNECTED] = "connected",
};

static void
set(json_t *object, const char *key, json_t *value)
{
	/* Out of memory: the line lacks a member, and can be read all the same. */
	(void)json_object_set_new(object, key, value);
}

/* What is not UTF-8 becomes U+FFFD; then KEY_hex has all of its bytes. */
static void
set_text(json_t *object, const char *key, const char *text)
{
	size_t len, from = 0, to = 0;
	char *clean, *hex, name[32];
	bool bad = false;

	if (text == NULL)
		return;
	len = strlen(text);
	clean = malloc(3 * len + 1);
	hex = malloc(2 * len + 1);
	while (clean != NULL && hex != NULL && from < len) {
		uint32_t cp;
		size_t n = utf8_decode(text + from, len - from, &cp);

		memcpy(clean + to, n > 0 ? text + from : "\xef\xbf\xbd", n > 0 ? n : 3);
		to += n > 0 ? n : 3;
		from += n > 0 ? n : 1;
		bad = bad || n == 0;
	}
	if (clean != NULL && hex != NULL) {
		clean[to] = '\0';
		set(object, key, json_string(clean));
		for (size_t i = 0; i < len; i++)
			snprintf(hex + 2 * i, 3, "%02x", (unsigned char)text[i]);
		snprintf(name, sizeof(name), "%s_hex", key);
		if (bad)
			set(object, name, json_string(hex));
	}
	free(clean);
	free(hex);
}

static void
set_number(json_t *object, const char *key, uint64_t number)
{
	set(object, key, json_integer((json_int_t)number));
}

static void
print(json_t *object)
{
	bool terminal = isatty(STDOUT_FILENO) != 0;
	char *line = object != NULL
			 ? json_dumps(object, JSON_COMPACT | (terminal ? JSON_ENSURE_ASCII : 0))
			 : NULL;

	for (const char *p = line; p != NULL && *p != '\0'; p++) {
		/* To a terminal nothing goes that could drive it: this is left by now. */
		if (terminal && *p == 0x7f)
			fputs("\\u007f", stdout);
		else
			putchar(*p);
	}
	if (line != NULL) {
		putchar('\n');
		(void)fflush(stdout);
	}
	free(line);
	json_decref(object);
}

static void
set_file(json_t *object, const struct ftxfer_event *e)
{
	char mode[8];

	set_number(object, "bytes", e->bytes);
	if (e->digest != NULL && e->digest[0] != '\0') {
		set_text(object, "digest", e->digest);
		set_text(object, "digest_kind", e->digest_kind);
	}
	if (e->type == FTXFER_EVENT_DONE) {
		set_number(object, "resumed", e->resumed);
		set(object, "unsynced", json_boolean(e->unsynced));
		set(object, "superseded", json_boolean(e->superseded));
		set(object, "existed", json_boolean(e->existed));
		set(object, "dry", json_boolean(e->dry));
		return;
	}
	set_text(object, "kind", ftxfer_kind_name(e->kind));
	if (!e->has_time)
		return;
	snprintf(mode, sizeof(mode), "%04o", e->mode & 07777);
	set_text(object, "mode", mode);
	set(object, "mtime", json_integer(e->mtime));
	set_number(object, "mtime_ns", e->mtime_ns);
}

void
report_json_event(const struct ftxfer_event *e)
{
	json_t *object = json_object();

	set_text(object, "event", types[e->type]);
	if (e->item > 0) {
		set_number(object, "item", e->item);
		set_text(object, "op", ftxfer_op_name(e->op));
	}
	set_text(object, "local", e->local);
	set_text(object, "remote", e->remote);
	set_text(object, "to", e->to);
	if (e->sums_up)
		set(object, "sums_up", json_true());
	if (e->type == FTXFER_EVENT_DONE || e->type == FTXFER_EVENT_ENTRY)
		set_file(object, e);
	if (e->type == FTXFER_EVENT_FAILED || e->type == FTXFER_EVENT_RETRYING ||
	    e->type == FTXFER_EVENT_WAITING) {
		set_text(object, "status", ftxfer_status_name(e->status));
		set_number(object, "exit", (uint64_t)cli_exit_code(e->status));
	}
	if (e->type == FTXFER_EVENT_RETRYING || e->type == FTXFER_EVENT_WAITING)
		set_number(object, "delay_ms", e->delay);
	set_text(object, "text", e->text);
	print(object);
}

static void
set_totals(json_t *object, const struct ftxfer_totals *t)
{
	set_number(object, "done", t->items_done);
	set_number(object, "removed", t->items_removed);
	set_number(object, "failed", t->items_failed);
	set_number(object, "skipped", t->items_skipped);
	set_number(object, "bytes_moved", t->bytes_moved);
	set_number(object, "bytes_done", t->bytes_done);
	set_number(object, "bytes_known", t->bytes_known);
}

void
report_json_progress(const struct ftxfer_totals *totals)
{
	json_t *object = json_object();

	set_text(object, "event", "progress");
	set_totals(object, totals);
	set(object, "counting", json_boolean(totals->counting));
	set_text(object, "current", totals->current);
	set_number(object, "current_moved", totals->current_moved);
	set_number(object, "current_size", totals->current_size);
	if (totals->current_stage != FTXFER_STAGE_NONE)
		set_text(object, "current_stage", ftxfer_stage_name(totals->current_stage));
	if (totals->current_stage == FTXFER_STAGE_DIGESTING) {
		set_number(object, "current_digested", totals->current_digested);
		set_number(object, "current_to_digest", totals->current_to_digest);
	}
	print(object);
}

void
report_json_end(const struct ftxfer_totals *totals, enum ftxfer_status status, uint64_t ms)
{
	json_t *object = json_object();

	set_text(object, "event", "summary");
	set_totals(object, totals);
	set_text(object, "status", ftxfer_status_name(status));
	set_number(object, "exit", (uint64_t)cli_exit_code(status));
	set_number(object, "ms", ms);
	print(object);
}
