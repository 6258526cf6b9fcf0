#include "base/rc.h"

#include <errno.h>
#include <string.h>

/* NOLINTNEXTLINE(bugprone-macro-parentheses): an initialiser takes none */
#define FTX_RC_NAME(code, name, text) [code] = name,
static const char *const rc_names[] = { FTX_RC_TABLE(FTX_RC_NAME) };

/* NOLINTNEXTLINE(bugprone-macro-parentheses): likewise */
#define FTX_RC_TEXT(code, name, text) [code] = text,
static const char *const rc_texts[] = { FTX_RC_TABLE(FTX_RC_TEXT) };

const char *
ftx_rc_name(enum ftx_rc rc)
{
	return (unsigned)rc < FTX_RC_COUNT ? rc_names[rc] : "unknown";
}

const char *
ftx_rc_text(enum ftx_rc rc)
{
	return (unsigned)rc < FTX_RC_COUNT ? rc_texts[rc] : "unknown error";
}

enum ftx_rc
ftx_rc_from_errno(int err)
{
	switch (err) {
	case 0:
		return FTX_OK;
	case ENOENT:
		return FTX_NOT_FOUND;
	case ENOTDIR:
		return FTX_NO_PARENT;
	case EEXIST:
		return FTX_EXISTS;
	case ELOOP: /* a symbolic link where none is followed */
	case EISDIR:
	case ENXIO: /* opening a socket, or a FIFO without a reader */
		return FTX_NOT_REGULAR;
	case ENAMETOOLONG:
	case EXDEV: /* openat2(2): the name would have left the root */
	case EILSEQ:
		return FTX_BAD_NAME;
	case EACCES:
	case EPERM:
	case EROFS:
		return FTX_ACCESS;
	case ENOSPC:
	case EDQUOT:
		return FTX_NO_SPACE;
	case EFBIG:
		return FTX_TOO_LARGE;
	case EMFILE:
	case ENFILE:
		return FTX_DESCRIPTORS;
	case ENOMEM:
	case ENOBUFS:
		return FTX_NOMEM;
	case ECONNRESET:
	case EPIPE:
	case ECONNABORTED:
		return FTX_RESET;
	case ETIMEDOUT: /* TCP itself gave up: retransmissions or keep-alives unanswered */
		return FTX_UNANSWERED;
	case ECONNREFUSED:
		return FTX_CONNECT_REFUSED;
	case EHOSTUNREACH:
	case ENETUNREACH:
	case ENETDOWN:
		return FTX_UNREACHABLE;
	case EOPNOTSUPP:
	case ENOSYS:
		return FTX_UNSUPPORTED;
	default:
		return FTX_IO;
	}
}

const char *
ftx_errno_text(int err)
{
	/* NOLINTNEXTLINE(concurrency-mt-unsafe): safe in glibc since 2.32, and in musl */
	return strerror(err);
}
