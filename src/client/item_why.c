#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "client/session.h"
#include "v2/result.h"

/*
 * A server says that a directory is missing, or that a name is taken, but not which directory it
 * is, nor by what. Before such an item fails that is looked at, so that it can be said.
 */

/* The name that was to be made. */
static const char *
name_made(const struct item *item)
{
	return item->op == FTXFER_OP_RENAME ? item->to : item->remote;
}

/* The next directory of it, from the highest on. False: there is none below the last one. */
static bool
next_directory(struct item *item)
{
	const char *name = name_made(item);
	size_t done = item->asked != NULL ? strlen(item->asked) : 0;
	const char *slash = strchr(name + done + strspn(name + done, "/"), '/');

	free(item->asked);
	item->asked = slash != NULL ? strndup(name, (size_t)(slash - name)) : NULL;
	return item->asked != NULL;
}

bool
item_ask_why(struct item *item, const struct v2_outcome *o)
{
	bool parent =
	    o->rc == FTX_NO_PARENT && (item->op == FTXFER_OP_PUT || item->op == FTXFER_OP_MKDIR ||
					  item->op == FTXFER_OP_RENAME);
	bool taken = o->rc == FTX_EXISTS && item->op == FTXFER_OP_RENAME;

	if (o->whose != V2_WHOSE_SERVER || o->breach || o->text.len > 0 || item->s->cancelled ||
	    item->failed != 0 || (!parent && !taken))
		return false;
	if (parent && !next_directory(item))
		return false;
	if (taken && (item->asked = strdup(item->to)) == NULL)
		return false;
	if (item->moving) /* what is known of it shares its memory with the question */
		v2_put_clear(&item->req.put);
	item->moving = false;
	item->failed = o->code;
	item->look = LOOK_WHY;
	item_go_on(item);
	return true;
}

/* There is nothing to be found. */
static void
fail_plainly(struct item *item)
{
	const struct v2_outcome o = {
		.rc = v2_code_rc(item->failed),
		.whose = V2_WHOSE_SERVER,
		.code = item->failed,
	};

	item_fail_outcome(item, &o);
}

static void
fail_saying(struct item *item, const char *before, const char *after)
{
	const struct v2_outcome o = {
		.rc = v2_code_rc(item->failed),
		.whose = V2_WHOSE_SERVER,
		.code = item->failed,
	};
	char quoted[LOG_QUOTE_SIZE], text[SESSION_TEXT];

	log_quote(quoted, sizeof(quoted), item->asked, strlen(item->asked));
	snprintf(text, sizeof(text), "%s%s%s", before, quoted, after);
	item_fail(item, outcome_status(&o), text);
}

static void
say_missing(struct item *item)
{
	bool could = item->op != FTXFER_OP_RENAME && (item->flags & FTXFER_PARENTS) == 0;

	fail_saying(item, "there is no directory ",
	    could ? " on the server: -p would make it" : " on the server");
}

/* It is none, and stands where a directory would have to. */
static void
say_no_directory(struct item *item, uint8_t kind)
{
	fail_saying(item, "",
	    kind == V2_REGULAR   ? " is a file on the server, not a directory"
	    : kind == V2_SYMLINK ? " is a symbolic link on the server, and none is followed"
				 : " is neither file nor directory on the server");
}

/* What has the new name. */
static void
say_taken(struct item *item, uint8_t kind)
{
	char into[PATH_NAME_MAX + 2], quoted[LOG_QUOTE_SIZE], text[LOG_QUOTE_SIZE + 64];
	bool replaces = (item->flags & FTXFER_REPLACE) != 0;

	if (kind == V2_DIRECTORY) {
		snprintf(into, sizeof(into), "%s/", item->asked);
		log_quote(quoted, sizeof(quoted), into, strlen(into));
		snprintf(text, sizeof(text), " is a directory: %s moves it into there", quoted);
		fail_saying(item, "", text);
	} else if (kind != V2_REGULAR)
		fail_saying(item, "", " exists, and is no file that could be replaced");
	else
		fail_saying(item, "",
		    replaces ? " exists, and may be another name of the same file"
			     : " exists: --replace would replace it");
}

static void
on_why(void *arg, struct v2_request *r, const struct v2_outcome *o)
{
	struct item *item = arg;
	struct v2_ask *ask = (struct v2_ask *)r;
	bool parent = v2_code_rc(item->failed) == FTX_NO_PARENT;
	uint8_t kind = o->rc == FTX_OK ? ask->got.stat.kind : 0;

	item_leave(item);
	if (o->rc == FTX_CANCELLED)
		item_fail_outcome(item, o);
	else if (parent && o->rc == FTX_NOT_FOUND)
		say_missing(item);
	else if (o->rc == FTX_OK && !parent)
		say_taken(item, kind);
	else if (o->rc == FTX_OK && kind != V2_DIRECTORY)
		say_no_directory(item, kind);
	else if (o->rc == FTX_OK && next_directory(item))
		item_go_on(item);
	else
		fail_plainly(item); /* or by now all of them are there */
}

void
item_run_why(struct item *item, struct v2_client *c)
{
	struct v2_ask *ask = &item->req.ask;

	ask->r.on_done = on_why;
	v2_client_stat(c, ask, item->asked, DIGEST_NONE, 0);
}
