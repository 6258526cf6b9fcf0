#include "client/session.h"
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
