#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "client/tree.h"
#include "net/congestion.h"

/* What went wrong, in words: on which side, why if that is known, and what can be done. */

/* Who is told only of one name may not know on which of two sides that is. */
static bool
has_two_sides(const struct item *item)
{
	if (item->lists != NULL) /* for its tree */
		item = item->tree->item;
	return item->local != NULL || item->op == FTXFER_OP_PUT || item->op == FTXFER_OP_GET;
}

/* What it says is of a file system, or a machine, of which there are two. */
static bool
is_of_a_side(enum ftx_rc rc)
{
	switch (rc) {
	case FTX_BAD_NAME:
	case FTX_NOT_FOUND:
	case FTX_NO_PARENT:
	case FTX_NOT_REGULAR:
	case FTX_IS_DIRECTORY:
	case FTX_NOT_DIRECTORY:
	case FTX_NOT_EMPTY:
	case FTX_EXISTS:
	case FTX_BUSY:
	case FTX_ACCESS:
	case FTX_NO_SPACE:
	case FTX_TOO_LARGE:
	case FTX_STAGE_FULL:
	case FTX_QUOTA:
	case FTX_LIMIT:
	case FTX_TOO_MANY:
	case FTX_DESCRIPTORS:
	case FTX_NOMEM:
	case FTX_IO:
	case FTX_CHANGED:
	case FTX_UNSUPPORTED:
	case FTX_INTERNAL:
		return true;
	default:
		return false;
	}
}

/* --- Names --- */

static const char *
fault_text(enum path_fault fault)
{
	static const char *const texts[] = {
		[PATH_GOOD] = NULL,
		[PATH_EMPTY] = "there is nothing in it",
		[PATH_SLASH] = "it begins or ends with a slash",
		[PATH_LONG] = "it is longer than 4096 bytes",
		[PATH_LONG_COMPONENT] = "it, or a directory in it, is longer than 255 bytes",
		[PATH_RESERVED] = "what begins with .ftxferd is kept for unfinished files",
		[PATH_DOTS] = "no . or .. may stand for a file or a directory in it",
		[PATH_NO_UTF8] = "it is not UTF-8, which the server's option names asks for",
		[PATH_CONTROL] =
		    "it has a control character, which the server's option names does not allow",
	};

	return texts[fault];
}

/*
 * Which rule of the server's a name does not keep; NULL: none that is known here. What no server
 * takes comes first: of the rest only the server knows whether its option asks for it.
 */
static const char *
why_bad_there(const struct item *item)
{
	static const enum path_alphabet alphabets[] = { PATH_BYTES, PATH_UTF8 };
	const char *const names[] = { item->to, item->remote };
	enum path_fault fault = PATH_GOOD;

	for (size_t i = 0; i < 4 && fault == PATH_GOOD; i++) {
		const char *name = names[i % 2];

		if (name != NULL)
			fault = path_fault(alphabets[i / 2], name, strlen(name));
	}
	return fault_text(fault);
}

/* The same of a local one; what is made takes its last component from the server's. */
static const char *
why_bad_here(const struct item *item)
{
	const char *made = item->op == FTXFER_OP_GET && item->local_is_dir && item->remote != NULL
			       ? name_base(item->remote)
			       : "";
	enum path_fault fault =
	    *made != '\0' ? path_component_fault(PATH_BYTES, made, strlen(made)) : PATH_GOOD;

	for (const char *p = item->local; p != NULL && fault == PATH_GOOD; p = strchr(p, '/')) {
		p += strspn(p, "/");
		if (strcspn(p, "/") > PATH_COMPONENT_MAX)
			fault = PATH_LONG_COMPONENT;
	}
	return fault_text(fault);
}

/* --- What can be done about it --- */

/*
 * Why the server does not let it be done, as far as that can be: it gives one answer for what it
 * does not allow its clients, and what its system does not allow itself.
 */
static const char *
why_forbidden(const struct item *item)
{
	bool replaces = (item->flags & FTXFER_REPLACE) != 0;

	switch (item->op) {
	case FTXFER_OP_PUT:
		return replaces ? "its option allow_replace is off, or it may not write there "
				  "itself"
				: "perhaps it may not write there itself";
	case FTXFER_OP_MKDIR:
		return "perhaps it may not write there itself";
	case FTXFER_OP_REMOVE:
		return "its option allow_remove is off, or it may not write there itself";
	case FTXFER_OP_RENAME:
		return replaces ? "its option allow_rename or allow_replace is off, or it may not "
				  "write there itself"
				: "its option allow_rename is off, or it may not write there "
				  "itself";
	default:
		return "perhaps it may not read that itself";
	}
}

/* More about what a server has said, or NULL. */
static const char *
advice(const struct item *item, enum ftx_rc rc)
{
	switch (rc) {
	case FTX_BAD_NAME:
		return why_bad_there(item);
	case FTX_FORBIDDEN:
		return why_forbidden(item);
	case FTX_NOT_FOUND:
		return item->op != FTXFER_OP_GET && item->tree == NULL &&
			       strpbrk(item->remote, "*?[") != NULL
			   ? "wildcards are for get only"
			   : NULL;
	case FTX_EXISTS:
		return item->op == FTXFER_OP_PUT || item->op == FTXFER_OP_RENAME
			   ? "--replace would replace it, if it is a file"
			   : NULL;
	case FTX_NO_PARENT:
		return (item->op == FTXFER_OP_PUT || item->op == FTXFER_OP_MKDIR) &&
			       (item->flags & FTXFER_PARENTS) == 0
			   ? "-p would make it"
			   : NULL;
	case FTX_IS_DIRECTORY:
		if (item->op == FTXFER_OP_RENAME)
			return "only files can be renamed";
		if (item->op == FTXFER_OP_GET && item->local == NULL)
			return "one file goes to standard output";
		return item->op == FTXFER_OP_GET || item->op == FTXFER_OP_REMOVE
			   ? "-r takes it with all that is in it"
			   : NULL;
	default:
		return NULL;
	}
}

/* --- Sentences --- */

void
connection_text(const struct ftxfer_session *s, enum ftx_rc rc, char *text, size_t size)
{
	bool is_v6 = strchr(s->host, ':') != NULL;

	if (rc == FTX_UNSUPPORTED) {
		snprintf(text, size, "congestion control %s: " CONGESTION_HINT, s->congestion);
		return;
	}
	snprintf(text, size, "%s%s%s:%u: %s", is_v6 ? "[" : "", s->host, is_v6 ? "]" : "", s->port,
	    rc == FTX_OK ? "connected" : ftx_rc_text(rc));
}

void
here_text(const struct item *item, enum ftx_rc rc, char *text, size_t size)
{
	const char *why = rc == FTX_BAD_NAME ? why_bad_here(item) : NULL;

	snprintf(text, size, "%s%s%s%s", ftx_rc_text(rc), is_of_a_side(rc) ? " here" : "",
	    why != NULL ? ": " : "", why != NULL ? why : "");
}

static void
there_text(const struct item *item, const struct v2_outcome *o, char *text, size_t size)
{
	bool sided = is_of_a_side(o->rc) && has_two_sides(item);
	const char *more = advice(item, o->rc);
	char words[512] = "";
	size_t used;

	snprintf(text, size, "%s%s%s%s", ftx_rc_text(o->rc), sided ? " on the server" : "",
	    more != NULL ? ": " : "", more != NULL ? more : "");
	used = strlen(text);
	if (o->text.len > 0 && used < size) {
		log_quote(words, sizeof(words), o->text.p, o->text.len);
		snprintf(text + used, size - used, " (the server says %s)", words);
	}
}

void
outcome_text(const struct item *item, const struct v2_outcome *o, char *text, size_t size)
{
	size_t used;

	if (o->whose == V2_WHOSE_SERVER)
		there_text(item, o, text, size);
	else if (o->whose == V2_WHOSE_LOCAL)
		here_text(item, o->rc, text, size);
	else if (o->breach || o->rc == FTX_CANCELLED)
		snprintf(text, size, "%s", ftx_rc_text(o->rc));
	else
		connection_text(item->s, o->rc, text, size);
	used = strlen(text);
	if (o->breach && used < size)
		snprintf(text + used, size - used, "; this server is not one to go on with");
}
