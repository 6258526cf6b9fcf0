/*
 * ftxfer.h - the client engine: files, trees and questions by protocol 2, and one file by protocol 1.
 * Layer: client; the whole interface of the engine: cli/ includes nothing else of it.
 * Threads: all calls and callbacks on the thread that runs the caller's event_base.
 * Tests: tests/unit/test_remote.c, tests/system/
 *
 * The engine prints nothing. It works on the caller's event_base, blocks nowhere, and tells by
 * callbacks what a program may want to show. The program ignores SIGPIPE, SIGIO and SIGXFSZ.
 *
 * Objects are opaque. A struct that the caller fills, or is handed, begins with its size, so that
 * members can be added at its end: what lies behind the size that the other side knows is not
 * looked at. Numbers of an enum keep their meaning; more may come.
 */
#ifndef CLIENT_FTXFER_H
#define CLIENT_FTXFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct ftxfer_item;
struct ftxfer_job;
struct ftxfer_session;

enum ftxfer_mode { FTXFER_DOWNLOAD, FTXFER_UPLOAD };

/* Whether a large file is moved without a copy. */
enum ftxfer_way {
	FTXFER_WAY_AUTO, /* where that is cheaper */
	FTXFER_WAY_ALWAYS,
	FTXFER_WAY_NEVER
};

/* How a job ended; each tells the user something else to do. */
enum ftxfer_status {
	FTXFER_OK,
	FTXFER_BAD_USAGE, /* the server's address, or a name that no request can hold */
	FTXFER_NO_INPUT,  /* there is no such local file, or it cannot be read */
	FTXFER_UNKNOWN_HOST,
	FTXFER_REFUSED,       /* by the server: not found, an error, a size it will not take */
	FTXFER_CANNOT_CREATE, /* upload: the name exists; download: the local file cannot be made */
	FTXFER_LOCAL_ERROR,   /* reading, writing, no space here */
	FTXFER_TRY_AGAIN,     /* not connected, reset, timed out: the same may work later */
	FTXFER_BAD_PEER,      /* what answers is no such server */
	FTXFER_INTERNAL,      /* out of memory, say */
	FTXFER_CANCELLED,
	FTXFER_BAD_DATA, /* content is not what its digest says, or differs where it should not */
	FTXFER_FORBIDDEN /* the server does not let this user do that */
};

/* --- Protocol 1: one file by one connection --- */

/* All strings are borrowed until the job is freed; times in ms. */
struct ftxfer_spec {
	enum ftxfer_mode mode;
	const char *server; /* HOST:PORT, [IPv6]:PORT; 50000 where no port is written */
	const char *remote_name;
	const char *local_name;
	unsigned file_mode;       /* permissions of a downloaded file: 0666 & ~umask, as a rule */
	uint64_t connect_timeout; /* for each of the server's addresses */
	uint64_t idle_timeout;    /* nothing moves */
	uint64_t close_timeout;   /* upload: for the close that confirms it, after the last byte */
	enum ftxfer_way sendfile; /* an upload: sendfile(2) */
	enum ftxfer_way splice;   /* a download: splice(2) */
	const char *congestion;   /* TCP's, by its name; empty: the system's */
};

enum ftxfer_notice {
	FTXFER_NOTICE_FOUND,    /* the server has the file; its size is known */
	FTXFER_NOTICE_REPLACES, /* a local file of that name will be replaced */
	FTXFER_NOTICE_ACCEPTED  /* the server takes the upload; content flows */
};

struct ftxfer_callbacks {
	void (*on_notice)(void *arg, enum ftxfer_notice notice);
	/*
	 * Once, never within ftxfer_start(). text: a sentence without a full stop, borrowed for the
	 * call.
	 */
	void (*on_done)(void *arg, enum ftxfer_status status, const char *text);
};

/* Bytes; total is 0 while it is unknown. */
struct ftxfer_progress {
	uint64_t moved;
	uint64_t total;
};

/* callbacks and spec's strings outlive the job. NULL: out of memory. */
struct ftxfer_job *ftxfer_start(struct event_base *base, const struct ftxfer_spec *spec,
    const struct ftxfer_callbacks *callbacks, void *arg);
struct ftxfer_progress ftxfer_progress(const struct ftxfer_job *job);
/* Ends it with FTXFER_CANCELLED, unless it has ended. on_done is called within. */
void ftxfer_cancel(struct ftxfer_job *job);
/*
 * Something is being cleaned up still (a temporary file removed, say): ftxfer_free() would wait for
 * it.
 */
bool ftxfer_busy(const struct ftxfer_job *job);
/* After on_done, not within it. NULL is allowed. */
void ftxfer_free(struct ftxfer_job *job);

/* --- Names of what is remote --- */

#define FTXFER_PORT 50001 /* the daemon's */

/* One alias: a word, and the remote name that stands for it. */
struct ftxfer_alias {
	const char *name;
	const char *target;
};

/* What a remote name means. All owned; ftxfer_remote_free(). */
struct ftxfer_remote {
	char *host; /* without brackets */
	uint16_t port;
	char *path;    /* beneath the server's root: no slash in front; "" is the root */
	char *pattern; /* the same as a pattern (fnmatch(3)) if it has wildcards, else NULL */
	bool is_dir;   /* written with a slash at its end, or nothing but the root */
};

/* How a name that is written on a command line is to be understood. */
enum ftxfer_naming {
	FTXFER_NAME_LOCAL,
	FTXFER_NAME_REMOTE,
	FTXFER_NAME_WRONG /* it is meant to be remote, and cannot be: `why` says so */
};

/*
 * text is remote if it has one of these forms; everything else is local, and so is, in any case,
 * what has a slash before its first colon (./a:b).
 *
 *	ftx://HOST[:PORT]/PATH	percent-encoded: %20 is a space, and the wildcards %2A, %3F, %5B
 *				stand for themselves; %00 and %2F are wrong
 *	HOST:/PATH, HOST:PORT/PATH	as it stands, but for \ in front of a wildcard
 *	ALIAS:PATH		beneath the target of that alias
 *
 * HOST is a name, an IPv4 address or an IPv6 address in brackets. *out is the caller's with
 * FTXFER_NAME_REMOTE; why (size bytes) gets a sentence otherwise.
 */
enum ftxfer_naming ftxfer_remote_parse(const char *text, const struct ftxfer_alias *aliases,
    size_t alias_count, struct ftxfer_remote **out, char *why, size_t size);
void ftxfer_remote_free(struct ftxfer_remote *r);

#endif
