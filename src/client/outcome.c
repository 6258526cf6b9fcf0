#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "client/session.h"
#include "net/congestion.h"
#include "v2/result.h"

static enum ftxfer_status
local_status(enum ftx_rc rc, bool reading)
{
	switch (rc) {
	case FTX_NOT_FOUND:
	case FTX_NO_PARENT:
	case FTX_NOT_REGULAR:
	case FTX_IS_DIRECTORY:
	case FTX_NOT_DIRECTORY:
	case FTX_ACCESS:
	case FTX_EXISTS:
	case FTX_BAD_NAME:
	case FTX_UNSUPPORTED:
		return reading ? FTXFER_NO_INPUT : FTXFER_CANNOT_CREATE;
	case FTX_NOMEM:
	case FTX_INTERNAL:
	case FTX_DESCRIPTORS:
		return FTXFER_INTERNAL;
	case FTX_CANCELLED:
		return FTXFER_CANCELLED;
	case FTX_DIGEST_MISMATCH:
	case FTX_SIZE_MISMATCH:
		return FTXFER_BAD_DATA;
	default:
		return FTXFER_LOCAL_ERROR;
	}
}

/* As ftxfer-protocol(7), "Result codes", has it. */
static enum ftxfer_status
server_status(const struct v2_outcome *o)
{
	if (o->code == 0 && o->rc == FTX_DIGEST_MISMATCH)
		return FTXFER_BAD_DATA; /* its receipt is of other content */
	switch (o->code) {
	case V2_CODE_MALFORMED:
	case V2_CODE_PROTOCOL:
	case V2_CODE_ID_IN_USE:
	case V2_CODE_TOO_MUCH:
		return FTXFER_BAD_PEER;
	case V2_CODE_UNAUTHENTICATED:
	case V2_CODE_FORBIDDEN:
		return FTXFER_FORBIDDEN;
	case V2_CODE_EXISTS:
	case V2_CODE_CHANGED:
		return FTXFER_CANNOT_CREATE;
	case V2_CODE_DIGEST_MISMATCH:
	case V2_CODE_SIZE_MISMATCH:
		return FTXFER_BAD_DATA;
	case V2_CODE_CANCELLED:
		return o->rc == FTX_CANCELLED ? FTXFER_CANCELLED : FTXFER_TRY_AGAIN;
	case V2_CODE_TAKEN_OVER:
		return FTXFER_TRY_AGAIN;
	default:
		return v2_code_is_retryable(o->code) ? FTXFER_TRY_AGAIN : FTXFER_REFUSED;
	}
}

enum ftxfer_status
outcome_status(const struct v2_outcome *o)
{
	if (o->rc == FTX_OK)
		return FTXFER_OK;
	if (o->rc == FTX_CANCELLED)
		return FTXFER_CANCELLED;
	if (o->breach)
		return FTXFER_BAD_PEER;
	switch (o->whose) {
	case V2_WHOSE_LOCAL:
		return local_status(o->rc, true);
	case V2_WHOSE_SERVER:
		return server_status(o);
	case V2_WHOSE_CONNECTION:
		if (o->rc == FTX_HOST_UNKNOWN)
			return FTXFER_UNKNOWN_HOST;
		if (o->rc == FTX_UNSUPPORTED)
			return FTXFER_BAD_USAGE;
		if (o->rc == FTX_PROTOCOL || o->rc == FTX_BAD_MESSAGE)
			return FTXFER_BAD_PEER;
		if (o->rc == FTX_NOMEM)
			return FTXFER_INTERNAL;
		return FTXFER_TRY_AGAIN;
	default:
		return FTXFER_INTERNAL;
	}
}

/* Which of the server's options does not let it be done; NULL: none that is known. */
static const char *
option_that_forbids(const struct item *item)
{
	switch (item->op) {
	case FTXFER_OP_PUT:
		return (item->flags & FTXFER_REPLACE) != 0 ? "its option allow_replace is off"
							   : NULL;
	case FTXFER_OP_REMOVE:
		return "its option allow_remove is off";
	case FTXFER_OP_RENAME:
		return (item->flags & FTXFER_REPLACE) != 0
			   ? "its option allow_rename or allow_replace is off"
			   : "its option allow_rename is off";
	default:
		return NULL;
	}
}

/* What the user can do about a refusal, or NULL. */
static const char *
advice(const struct item *item, enum ftx_rc rc)
{
	switch (rc) {
	case FTX_FORBIDDEN:
		return option_that_forbids(item);
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
		return item->op == FTXFER_OP_PUT || item->op == FTXFER_OP_MKDIR ? "-p would make it"
										: NULL;
	case FTX_IS_DIRECTORY:
		if (item->op == FTXFER_OP_RENAME)
			return "only files can be renamed";
		return item->op == FTXFER_OP_GET || item->op == FTXFER_OP_REMOVE
			   ? "-r takes it with all that is in it"
			   : NULL;
	default:
		return NULL;
	}
}

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
outcome_text(const struct item *item, const struct v2_outcome *o, char *text, size_t size)
{
	char words[512] = "", where[300] = "";
	const char *more = o->whose == V2_WHOSE_SERVER ? advice(item, o->rc) : NULL;
	const char *slash = item->remote != NULL ? strrchr(item->remote, '/') : NULL;
	size_t used;

	if (o->whose == V2_WHOSE_CONNECTION && !o->breach && o->rc != FTX_CANCELLED) {
		connection_text(item->s, o->rc, text, size);
		return;
	}
	if (o->whose == V2_WHOSE_SERVER && o->text.len > 0)
		log_quote(words, sizeof(words), o->text.p, o->text.len);
	if (o->whose == V2_WHOSE_SERVER && o->rc == FTX_NO_PARENT && item->op == FTXFER_OP_PUT &&
	    slash != NULL) {
		where[0] = ' ';
		log_quote(
		    where + 1, sizeof(where) - 1, item->remote, (size_t)(slash - item->remote));
	} else if (o->whose == V2_WHOSE_SERVER && o->rc == FTX_EXISTS)
		snprintf(where, sizeof(where), " on the server");
	snprintf(text, size, "%s%s%s%s%s", ftx_rc_text(o->rc), where, more != NULL ? ": " : "",
	    more != NULL ? more : "", o->breach ? "; this server is not one to go on with" : "");
	used = strlen(text);
	if (words[0] != '\0' && used < size)
		snprintf(text + used, size - used, " (the server says %s)", words);
}
