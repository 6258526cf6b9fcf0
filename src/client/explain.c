#include "client/explain.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "net/congestion.h"

/* What the server said of the name or the size. */
static enum ftxfer_status
explain_refusal(const struct ftxfer_spec *spec, enum ftx_rc rc, char *text, size_t size)
{
	char name[LOG_QUOTE_SIZE];

	log_quote(name, sizeof(name), spec->remote_name, strlen(spec->remote_name));
	switch (rc) {
	case FTX_NOT_FOUND:
		snprintf(text, size,
		    "%s was not found on the server, or is being uploaded there now", name);
		return FTXFER_REFUSED;
	case FTX_EXISTS:
		snprintf(text, size,
		    "%s was found on the server, or is in transfer there now: use another name",
		    name);
		return FTXFER_CANNOT_CREATE;
	case FTX_REMOTE_REFUSED:
		snprintf(text, size,
		    "%s was rejected by the server: it has no space for it, or takes no file so "
		    "large",
		    name);
		return FTXFER_REFUSED;
	default:
		snprintf(text, size,
		    "the server reports an error with %s: the name is not allowed there, is no "
		    "regular file, its directory does not exist, or the server cannot read or "
		    "write there (its log says which)",
		    name);
		return FTXFER_REFUSED;
	}
}

static enum ftxfer_status
explain_local(const struct ftxfer_spec *spec, enum ftx_rc rc, char *text, size_t size)
{
	bool upload = spec->mode == FTXFER_UPLOAD;
	char name[LOG_QUOTE_SIZE];

	log_quote(name, sizeof(name), spec->local_name, strlen(spec->local_name));
	switch (rc) {
	case FTX_NO_SPACE:
		snprintf(text, size, "there is not enough space here for %s", name);
		return FTXFER_LOCAL_ERROR;
	case FTX_CHANGED:
		snprintf(
		    text, size, "%s changed while it was being sent; nothing was stored", name);
		return FTXFER_LOCAL_ERROR;
	case FTX_NOT_FOUND:
	case FTX_NO_PARENT:
	case FTX_NOT_REGULAR:
	case FTX_ACCESS:
	case FTX_EXISTS:
	case FTX_BAD_NAME:
	case FTX_UNSUPPORTED:
		snprintf(text, size, "%s %s: %s", upload ? "cannot read" : "cannot create", name,
		    ftx_rc_text(rc));
		return upload ? FTXFER_NO_INPUT : FTXFER_CANNOT_CREATE;
	case FTX_NOMEM:
	case FTX_INTERNAL:
	case FTX_DESCRIPTORS:
		snprintf(text, size, "%s", ftx_rc_text(rc));
		return FTXFER_INTERNAL;
	default:
		snprintf(
		    text, size, "%s %s: %s", upload ? "reading" : "writing", name, ftx_rc_text(rc));
		return FTXFER_LOCAL_ERROR;
	}
}

static enum ftxfer_status
explain_connection(const struct ftxfer_spec *spec, enum ftx_rc rc, char *text, size_t size)
{
	const char *unsure = spec->mode == FTXFER_UPLOAD
				 ? ": the file is not known to be stored; try again"
				 : ": nothing was written; try again";

	switch (rc) {
	case FTX_HOST_UNKNOWN:
		snprintf(text, size, "%s: no such host", spec->server);
		return FTXFER_UNKNOWN_HOST;
	case FTX_CONNECT:
	case FTX_CONNECT_REFUSED:
	case FTX_UNREACHABLE:
	case FTX_UNANSWERED:
		snprintf(text, size, "%s: could not connect: %s; try again", spec->server,
		    rc == FTX_CONNECT ? "see that a server listens there" : ftx_rc_text(rc));
		return FTXFER_TRY_AGAIN;
	case FTX_USAGE:
		snprintf(text, size, "%s is not HOST or HOST:PORT", spec->server);
		return FTXFER_BAD_USAGE;
	case FTX_UNSUPPORTED:
		snprintf(text, size, "congestion control %s: " CONGESTION_HINT, spec->congestion);
		return FTXFER_BAD_USAGE;
	case FTX_BAD_NAME:
		snprintf(text, size, "a server file name has 1 to 255 bytes");
		return FTXFER_BAD_USAGE;
	case FTX_PROTOCOL:
	case FTX_EXCESS:
		snprintf(text, size, "what answers at %s does not speak this protocol: %s",
		    spec->server, ftx_rc_text(rc));
		return FTXFER_BAD_PEER;
	case FTX_NOMEM:
	case FTX_INTERNAL:
	case FTX_DESCRIPTORS:
		snprintf(text, size, "%s", ftx_rc_text(rc));
		return FTXFER_INTERNAL;
	case FTX_CANCELLED:
		snprintf(text, size, "cancelled");
		return FTXFER_CANCELLED;
	default:
		snprintf(text, size, "%s: %s%s", spec->server, ftx_rc_text(rc), unsure);
		return FTXFER_TRY_AGAIN;
	}
}

enum ftxfer_status
explain(const struct ftxfer_spec *spec, enum ftx_rc rc, enum v1_side side, char *text, size_t size)
{
	if (rc == FTX_OK) {
		snprintf(text, size, "file transfer complete");
		return FTXFER_OK;
	}
	if (side == V1_SIDE_LOCAL)
		return explain_local(spec, rc, text, size);
	if (rc == FTX_NOT_FOUND || rc == FTX_EXISTS || rc == FTX_REMOTE_REFUSED ||
	    rc == FTX_REMOTE_ERROR)
		return explain_refusal(spec, rc, text, size);
	return explain_connection(spec, rc, text, size);
}
