#include "client/ftxfer.h"

/* The words for what the interface counts. */

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

const char *
ftxfer_op_name(enum ftxfer_op op)
{
	static const char *const names[] = {
		[FTXFER_OP_PUT] = "put",
		[FTXFER_OP_GET] = "get",
		[FTXFER_OP_LIST] = "list",
		[FTXFER_OP_STAT] = "stat",
		[FTXFER_OP_MKDIR] = "mkdir",
		[FTXFER_OP_REMOVE] = "remove",
		[FTXFER_OP_RENAME] = "rename",
		[FTXFER_OP_SUM] = "sum",
		[FTXFER_OP_SYNC_UP] = "sync",
		[FTXFER_OP_SYNC_DOWN] = "sync",
		[FTXFER_OP_VERIFY] = "verify",
	};

	return (unsigned)op < COUNT(names) ? names[op] : "unknown";
}

const char *
ftxfer_status_name(enum ftxfer_status status)
{
	static const char *const names[] = {
		[FTXFER_OK] = "ok",
		[FTXFER_BAD_USAGE] = "bad-usage",
		[FTXFER_NO_INPUT] = "no-input",
		[FTXFER_UNKNOWN_HOST] = "unknown-host",
		[FTXFER_REFUSED] = "refused",
		[FTXFER_CANNOT_CREATE] = "cannot-create",
		[FTXFER_LOCAL_ERROR] = "local-error",
		[FTXFER_TRY_AGAIN] = "try-again",
		[FTXFER_BAD_PEER] = "bad-peer",
		[FTXFER_INTERNAL] = "internal",
		[FTXFER_CANCELLED] = "cancelled",
		[FTXFER_BAD_DATA] = "bad-data",
		[FTXFER_FORBIDDEN] = "forbidden",
	};

	return (unsigned)status < COUNT(names) ? names[status] : "unknown";
}

const char *
ftxfer_kind_name(enum ftxfer_kind kind)
{
	static const char *const names[] = {
		[FTXFER_FILE] = "file",
		[FTXFER_DIRECTORY] = "directory",
		[FTXFER_LINK] = "link",
		[FTXFER_OTHER] = "other",
	};

	return (unsigned)kind < COUNT(names) ? names[kind] : "unknown";
}

const char *
ftxfer_stage_name(enum ftxfer_stage stage)
{
	static const char *const names[] = {
		[FTXFER_STAGE_NONE] = "none",
		[FTXFER_STAGE_MOVING] = "moving",
		[FTXFER_STAGE_DIGESTING] = "digesting",
		[FTXFER_STAGE_STORING] = "storing",
	};

	return (unsigned)stage < COUNT(names) ? names[stage] : "unknown";
}
