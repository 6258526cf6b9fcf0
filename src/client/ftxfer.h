/*
 * ftxfer.h - the client engine: files, trees and questions by protocol 2, one file by protocol 1.
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

/* --- Protocol 2: a session with one server --- */

/*
 * A session has a queue of items, and a number of connections that share it. Items run side by
 * side, in no promised order; what needs an order is added when the other has ended. Where two of
 * them, PUT or GET, would go to one name, the one that was added later fails: a session remembers
 * each such name.
 */
struct ftxfer_session_spec {
	size_t size;      /* of this struct */
	const char *host; /* strings are copied */
	uint16_t port;
	unsigned connections;     /* at most, 1 to 64; 0: 1 */
	uint64_t connect_timeout; /* ms, for each address of the host */
	uint64_t retry_time;      /* ms: for so long what can be retried is, without any progress */
	const char *congestion;   /* TCP's, by its name; empty: the system's */
	const char *agent;        /* program and version, for the server's log */
	unsigned file_mode;       /* of downloaded files that get no other: 0666 & ~umask */
	bool sha256;              /* digests are SHA-256, not XXH3-128 */
	/*
	 * A file of 32 bytes that only its user can read, made if it is not there; by it an upload
	 * is known again by another process, too. NULL: only by this one.
	 */
	const char *key_file;
};

enum ftxfer_op {
	FTXFER_OP_PUT,
	FTXFER_OP_GET,
	FTXFER_OP_LIST,
	FTXFER_OP_STAT,
	FTXFER_OP_MKDIR,
	FTXFER_OP_REMOVE,
	FTXFER_OP_RENAME,
	FTXFER_OP_SUM,
	FTXFER_OP_SYNC_UP,   /* the directory `remote` becomes as the directory `local` */
	FTXFER_OP_SYNC_DOWN, /* the other way */
	FTXFER_OP_VERIFY     /* the digests of both are compared */
};

enum ftxfer_flag {
	FTXFER_RECURSIVE = 1 << 0, /* PUT, GET, LIST, REMOVE: a directory with all that is in it */
	FTXFER_PARENTS = 1 << 1,   /* missing directories above `remote` are made */
	FTXFER_REPLACE = 1 << 2,   /* PUT, RENAME: a regular file that has the name */
	/* SYNC: what is only at the target is removed, and what is in the way of another kind. */
	FTXFER_DELETE = 1 << 3,
	FTXFER_CHECKSUM = 1 << 4, /* SYNC: files are compared by their digests */
	FTXFER_DRY_RUN = 1 << 5,  /* SYNC: nothing is changed; the events say what would be */
	FTXFER_NO_ATTRS = 1 << 6, /* PUT, GET, SYNC: without time and permissions */
	/* PUT, GET: if the target is a directory, the file goes into it under its own name. */
	FTXFER_INTO = 1 << 7,
	FTXFER_MUST_INTO = 1 << 8 /* it is one, or the item fails */
};

struct ftxfer_item_spec {
	size_t size; /* of this struct */
	enum ftxfer_op op;
	unsigned flags;      /* of enum ftxfer_flag */
	const char *remote;  /* the name on the server; strings are copied */
	const char *pattern; /* GET: wildcards; each name that matches is an item. NULL: none */
	const char *to;      /* RENAME: the new name */
	const char *local;   /* PUT, GET, SYNC, VERIFY */
	/* PUT, GET: instead of `local`, a descriptor (borrowed), which is read or written; -1. */
	int fd;
};

enum ftxfer_kind { FTXFER_FILE, FTXFER_DIRECTORY, FTXFER_LINK, FTXFER_OTHER };

enum ftxfer_event_type {
	FTXFER_EVENT_STARTED,  /* its first try */
	FTXFER_EVENT_ENTRY,    /* LIST, STAT, SUM: one result */
	FTXFER_EVENT_DONE,     /* the item, or one of those that it brought */
	FTXFER_EVENT_SKIPPED,  /* left alone: text says why */
	FTXFER_EVENT_FAILED,   /* text says why, status what kind of failure it is */
	FTXFER_EVENT_RETRYING, /* after delay ms; text says why */
	/* Of the session: there is no connection; it is tried again after delay ms. */
	FTXFER_EVENT_WAITING,
	FTXFER_EVENT_CONNECTED /* after WAITING: there is one */
};

/* What has happened. Strings are borrowed for the call; NULL where there is nothing to say. */
struct ftxfer_event {
	size_t size; /* of this struct */
	enum ftxfer_event_type type;
	enum ftxfer_op op;
	/* Its number, from 1 in the order in which they were added or found; 0: of the session. */
	unsigned long item;
	const char *local, *remote, *to;
	enum ftxfer_status status;
	const char *text; /* without a full stop */
	uint64_t delay;   /* RETRYING, WAITING: ms */
	bool dry;         /* DONE: it would have been done */
	bool sums_up;     /* DONE, FAILED: a tree or pattern, whose parts had events of their own */

	/* DONE of PUT and GET; ENTRY. */
	uint64_t bytes;     /* of the file */
	uint64_t resumed;   /* of these were there already */
	const char *digest; /* in hexadecimal */
	const char *digest_kind;
	bool unsynced;   /* PUT: the server does not know it to be on stable storage */
	bool superseded; /* PUT: it was published, and has been replaced or removed since */
	bool existed; /* MKDIR: it was there. PUT: the same file was, by an earlier session, say */
	enum ftxfer_kind kind; /* ENTRY, as what follows */
	bool has_time;
	int64_t mtime; /* seconds since 1970 */
	uint32_t mtime_ns;
	unsigned mode;
};

struct ftxfer_session_callbacks {
	size_t size; /* of this struct */
	void (*on_event)(void *arg, const struct ftxfer_event *event);
	void (*on_idle)(void *arg); /* everything that was added has ended */
	/* May be NULL. There is room for more items: see ftxfer_session_has_room(). */
	void (*on_room)(void *arg);
};

/* What is being done with a file that is under way. */
enum ftxfer_stage {
	FTXFER_STAGE_NONE, /* there is none */
	FTXFER_STAGE_MOVING,
	/* What is there already is read, here or on the server, for its digest. */
	FTXFER_STAGE_DIGESTING,
	FTXFER_STAGE_STORING /* all of it has moved, and is being made durable */
};

/* Of the session so far. A caller asks for it when it draws. */
struct ftxfer_totals {
	size_t size; /* of this struct */
	uint64_t items_done, items_failed, items_skipped, items_waiting;
	uint64_t bytes_moved; /* of content, by the network */
	uint64_t bytes_done;  /* of files that are done, or under way */
	uint64_t bytes_known; /* of all files that have been found so far */
	bool counting;        /* trees are being walked still: bytes_known will grow */
	const char *current;  /* a file that is under way, the largest, or NULL; borrowed, soon */
	uint64_t current_moved, current_size;
	enum ftxfer_stage current_stage;
	/* DIGESTING: so many bytes of so many, as a server says now and then; 0: not known. */
	uint64_t current_digested, current_to_digest;
	uint64_t items_removed; /* of those that are done, names that went, or would go */
};

/*
 * base and arg are borrowed until the session is freed; the rest is copied. Connects when there is
 * an item. NULL: out of memory or descriptors.
 */
struct ftxfer_session *ftxfer_session_new(struct event_base *base,
    const struct ftxfer_session_spec *spec, const struct ftxfer_session_callbacks *callbacks,
    void *arg);
/*
 * Its number, which is in its events; 0: out of memory, or the spec makes no sense. Nothing is
 * called within. Each item ends with one event DONE or FAILED that has its number.
 */
unsigned long ftxfer_session_add(struct ftxfer_session *s, const struct ftxfer_item_spec *spec);
/* False: a few thousand items wait; who has many more adds them at on_room. */
bool ftxfer_session_has_room(const struct ftxfer_session *s);
void ftxfer_session_totals(const struct ftxfer_session *s, struct ftxfer_totals *totals);
/* Ends all of it: each item fails with FTXFER_CANCELLED, within; then on_idle, later. */
void ftxfer_session_cancel(struct ftxfer_session *s);
/* Something is being cleaned up still: ftxfer_session_free() would wait for it. */
bool ftxfer_session_busy(const struct ftxfer_session *s);
/* Not within a callback. NULL is allowed. */
void ftxfer_session_free(struct ftxfer_session *s);

/* "put", "get", ...; "unknown". */
const char *ftxfer_op_name(enum ftxfer_op op);
/* The short word for a status: "refused", ... */
const char *ftxfer_status_name(enum ftxfer_status status);
/* "none", "moving", "digesting", "storing". */
const char *ftxfer_stage_name(enum ftxfer_stage stage);
/* "file", "directory", "link", "other". */
const char *ftxfer_kind_name(enum ftxfer_kind kind);

#endif
