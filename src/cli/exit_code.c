/* What the process ends with. */
#include <sysexits.h>

#include "cli/commands.h"

/* The one list of exit codes (sysexits.h; documented in ftxfer(1)). */
static const int exit_codes[] = {
	[FTXFER_OK] = EX_OK,
	[FTXFER_BAD_USAGE] = EX_USAGE,
	[FTXFER_NO_INPUT] = EX_NOINPUT,
	[FTXFER_UNKNOWN_HOST] = EX_NOHOST,
	[FTXFER_REFUSED] = EX_UNAVAILABLE,
	[FTXFER_CANNOT_CREATE] = EX_CANTCREAT,
	[FTXFER_LOCAL_ERROR] = EX_IOERR,
	[FTXFER_TRY_AGAIN] = EX_TEMPFAIL,
	[FTXFER_BAD_PEER] = EX_PROTOCOL,
	[FTXFER_INTERNAL] = EX_SOFTWARE,
	[FTXFER_CANCELLED] = EX_TEMPFAIL,
	[FTXFER_BAD_DATA] = EX_DATAERR,
	[FTXFER_FORBIDDEN] = EX_NOPERM,
};

int
cli_exit_code(enum ftxfer_status status)
{
	return exit_codes[status];
}
