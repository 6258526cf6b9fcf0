/*
 * rc.h - result codes: the one enum that says how an operation ended.
 * Layer: base. Pure. Threads: any.
 * Tests: tests/unit/test_base.c
 *
 * Each code has a short stable name (log lines say reason=NAME) and a sentence for people.
 */
#ifndef BASE_RC_H
#define BASE_RC_H

/* clang-format off */
/* The table: code, name in logs, what a person is told. */
#define FTX_RC_TABLE(X) \
	X(FTX_OK,              "ok",              "done") \
	/* names */ \
	X(FTX_BAD_NAME,        "bad-name",        "that file name is not allowed") \
	X(FTX_TOO_DEEP,        "too-deep",        "that file name has too many directories") \
	X(FTX_NOT_FOUND,       "not-found",       "no such file") \
	X(FTX_NO_PARENT,       "no-parent",       "the directory does not exist") \
	X(FTX_NOT_REGULAR,     "not-regular",     "it is not a regular file") \
	X(FTX_IS_DIRECTORY,    "is-directory",    "it is a directory") \
	X(FTX_NOT_DIRECTORY,   "not-directory",   "it is not a directory") \
	X(FTX_NOT_EMPTY,       "not-empty",       "the directory is not empty") \
	X(FTX_OTHER_DEVICE,    "other-device",    "the two names are on different file systems") \
	X(FTX_OTHER_VERSION,   "other-version",   "the file is not the version that was asked for") \
	X(FTX_EXISTS,          "exists",          "a file of that name exists") \
	X(FTX_BUSY,            "busy",            "the name is in use by another transfer") \
	X(FTX_ACCESS,          "access",          "permission denied") \
	X(FTX_FORBIDDEN,       "forbidden",       "the server does not let this user do that") \
	X(FTX_UNAUTHENTICATED, "unauthenticated", "the server does not know who this user is") \
	/* room */ \
	X(FTX_NO_SPACE,        "no-space",        "not enough space") \
	X(FTX_BAD_RANGE,       "bad-range",       "the file ends before that offset") \
	X(FTX_TOO_LARGE,       "too-large",       "the file is larger than is allowed") \
	X(FTX_STAGE_FULL,      "stage-full",      "the uploads under way have all the space they may have") \
	X(FTX_QUOTA,           "quota",           "more than this user may store") \
	X(FTX_LIMIT,           "limit",           "too many connections") \
	X(FTX_TOO_MANY,        "too-many",        "too many requests at a time") \
	X(FTX_DESCRIPTORS,     "descriptors",     "out of file descriptors") \
	X(FTX_NOMEM,           "no-memory",       "out of memory") \
	/* storage */ \
	X(FTX_IO,              "io-error",        "input/output error") \
	X(FTX_NOT_DURABLE,     "not-durable",     "the file is there, but not known to be on the disk") \
	X(FTX_CHANGED,         "changed",         "the file changed while it was being read") \
	X(FTX_UNSUPPORTED,     "unsupported",     "the file system cannot do this") \
	X(FTX_LOCKED,          "locked",          "another daemon serves this storage root") \
	/* the peer */ \
	X(FTX_PROTOCOL,        "protocol-error",  "the peer sent something that is not the protocol") \
	X(FTX_BAD_MESSAGE,     "bad-message",     "a message is malformed") \
	X(FTX_NOT_OFFERED,     "not-offered",     "the server does not have what was asked for") \
	X(FTX_ID_IN_USE,       "id-in-use",       "the id of a request is 0 or in use") \
	X(FTX_TOO_MUCH,        "too-much",        "content was sent on and on after it had been refused") \
	X(FTX_DIGEST_MISMATCH, "digest-mismatch", "the content is not what its digest says") \
	X(FTX_SIZE_MISMATCH,   "size-mismatch",   "there was more or less content than the size said") \
	X(FTX_EXCESS,          "excess-bytes",    "the peer sent more bytes than it announced") \
	X(FTX_TRUNCATED,       "peer-closed",     "the peer closed the connection too early") \
	X(FTX_RESET,           "peer-reset",      "the connection was reset") \
	X(FTX_DECLINED,        "declined",        "the peer declined the transfer") \
	X(FTX_REMOTE_REFUSED,  "remote-refused",  "the server refused") \
	X(FTX_REMOTE_ERROR,    "remote-error",    "the server reported an error") \
	X(FTX_REQUEST_TIMEOUT, "request-timeout", "the handshake took too long") \
	X(FTX_IDLE_TIMEOUT,    "idle-timeout",    "nothing moved for too long") \
	X(FTX_TOO_SLOW,        "too-slow",        "the peer moves fewer bytes than min_rate asks for") \
	X(FTX_TIMED_OUT,       "timed-out",       "the server waited in vain") \
	/* reaching the peer */ \
	X(FTX_HOST_UNKNOWN,    "host-unknown",    "no such host") \
	X(FTX_CONNECT,         "connect-failed",  "could not connect") \
	X(FTX_CONNECT_REFUSED, "connect-refused", "connection refused: no server listens there") \
	X(FTX_UNREACHABLE,     "unreachable",     "there is no way to that host") \
	X(FTX_UNANSWERED,      "unanswered",      "that host does not answer") \
	/* ourselves */ \
	X(FTX_CANCELLED,       "cancelled",       "cancelled") \
	X(FTX_TOO_LATE,        "too-late",        "it was too late to cancel") \
	X(FTX_TAKEN_OVER,      "taken-over",      "another connection goes on with this upload") \
	X(FTX_CURSOR_EXPIRED,  "cursor-expired",  "the server no longer knows where the listing was") \
	X(FTX_SHUTDOWN,        "shutdown",        "the daemon is shutting down") \
	X(FTX_USAGE,           "usage",           "wrong usage") \
	X(FTX_INTERNAL,        "internal",        "internal error")
/* clang-format on */

#define FTX_RC_ENUM(code, name, text) code,
enum ftx_rc { FTX_RC_TABLE(FTX_RC_ENUM) FTX_RC_COUNT };
#undef FTX_RC_ENUM

#define FTX_MUST_CHECK __attribute__((warn_unused_result))

/* The stable short name: "no-space". Never NULL. */
const char *ftx_rc_name(enum ftx_rc rc);

/* What a person is told, without a full stop: "not enough space". Never NULL. */
const char *ftx_rc_text(enum ftx_rc rc);

/* The code that says what errno value err means for a file operation (errno(3)). */
enum ftx_rc ftx_rc_from_errno(int err);

/* What the system says about an errno value. */
const char *ftx_errno_text(int err);

#endif
