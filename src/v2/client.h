/*
 * client.h - protocol 2, the client's half: one connection, and the requests on it.
 * Layer: v2, its client library. Threads: the connection's worker.
 * Tests: tests/unit/test_v2_client*.c
 *
 * A request is a struct of the caller's: it fills in what it asks for, hands it to one of the calls
 * below, and leaves it alone until on_done, which comes once, never within that call. So do all
 * names and bytes that the struct points to: they are borrowed until then.
 *
 * Requests are sent in the order in which they were handed in, as soon as the limits of both HELLOs
 * have room; but the head of a large upload may pass a small one that has to wait. Until then they
 * wait in a list, which costs nothing but the caller's own structs: who has many stops while
 * v2_client_ready() says no, and goes on at on_ready. PING and CANCEL are sent at once.
 *
 * Whatever ends the connection, each request hears of it first, then its owner by on_close; after
 * that there is no client any more.
 */
#ifndef V2_CLIENT_H
#define V2_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/cursor.h"
#include "base/rc.h"
#include "store/digest.h"
#include "store/meta.h"
#include "store/put_spec.h"
#include "v2/message.h"

struct chunk;
struct digest_trail;
struct conn;
struct store;
struct transfer;
struct v2_client;
struct v2_request;

/* Whose the reason is when a request fails. */
enum v2_whose {
	V2_WHOSE_NONE,
	V2_WHOSE_LOCAL,     /* the local file, its disk, or memory */
	V2_WHOSE_SERVER,    /* its answer: `code` */
	V2_WHOSE_CONNECTION /* it ended, was silent, or the server broke the protocol */
};

/* How a request ended. */
struct v2_outcome {
	enum ftx_rc rc; /* FTX_OK: as asked; what came is in the request */
	enum v2_whose whose;
	bool sent;            /* the server may have seen it */
	bool answered;        /* it gave a final result. Sent and not: nobody knows what was done */
	bool retryable;       /* the same may be asked again, on this connection or another one */
	bool breach;          /* the server is one to leave: it broke the protocol */
	uint16_t code;        /* enum v2_code, or one that is not known; 0: none */
	uint32_t retry_after; /* seconds, as the server says; 0: it says nothing */
	struct v2_slice text; /* its words, within on_done only; as they came: quote them */
};

struct v2_request_ops; /* v2/client_private.h */

TAILQ_HEAD(v2_requests, v2_request);

/* The first member of each kind of request. on_done and arg are the caller's; the rest is ours. */
struct v2_request {
	/* The request is the caller's again; it may be used anew, or freed, within. */
	void (*on_done)(void *arg, struct v2_request *r, const struct v2_outcome *o);
	void *arg; /* borrowed */

	struct v2_client *client;         /* borrowed; NULL: not under way */
	const struct v2_request_ops *ops; /* static */
	struct v2_requests *in;           /* borrowed: the list that it is in, or NULL */
	TAILQ_ENTRY(v2_request) link;
	uint16_t id;   /* 0: none: not sent, or answered */
	uint8_t type;  /* enum v2_type */
	uint8_t flags; /* enum v2_flag */
	uint8_t state;
	bool sent, cancelled, settled;
	uint64_t worked;           /* DONE of the last WORKING */
	uint64_t unasked;          /* bytes of content that were sent without being asked for */
	struct v2_outcome outcome; /* once settled */
	char *text;                /* owned: what its text points to */
};

/* The connection. */
struct v2_client_callbacks {
	void (*on_open)(void *arg);  /* its HELLO has come: v2_client_server() */
	void (*on_ready)(void *arg); /* v2_client_ready() says yes again */
	/*
	 * The server takes no new requests. Those that were sent go on; the others have ended with
	 * FTX_SHUTDOWN, as all will that are still handed in.
	 */
	void (*on_goodbye)(void *arg, uint32_t retry_after);
	/* The last call. FTX_OK after v2_client_finish() only. code, text: as in an outcome. */
	void (*on_close)(void *arg, const struct v2_outcome *o);
};

/* What the server's HELLO says. */
struct v2_server_info {
	struct v2_limits limits;
	uint32_t kinds; /* of digests that both have: bit DIGEST_XXH128 ... */
	bool has_max_file;
	uint64_t max_file;
	bool has_time;
	struct v2_time time; /* of its clock, when it said so */
	char agent[256];     /* as it came, but for NULs: quote it */
};

/*
 * Takes over a fresh connection (net/dial) as its conversation, and says HELLO. agent: program and
 * version (borrowed for the call). FTX_NOMEM: nothing was attached.
 */
enum ftx_rc v2_client_new(struct v2_client **out, struct conn *c, const char *agent,
    const struct v2_client_callbacks *callbacks, void *arg) FTX_MUST_CHECK;
/* NULL until on_open. */
const struct v2_server_info *v2_client_server(const struct v2_client *c);
/* Whether more should be handed in now: fewer than about a hundred requests wait. */
bool v2_client_ready(const struct v2_client *c);
/* No more requests: when those that were handed in have ended the connection does, by its FIN. */
void v2_client_finish(struct v2_client *c);
/* At once, with a reset: on_done of all, on_close; some, perhaps, when the disk has answered. */
void v2_client_abort(struct v2_client *c, enum ftx_rc why);

/*
 * The request shall end, with FTX_CANCELLED if it is not too late; on_done comes in any case, also
 * with another result. Idempotent, and nothing for one that is not under way.
 */
void v2_client_cancel(struct v2_request *r);

enum v2_doing_what {
	V2_DOING_WAIT,   /* for its turn, or for an answer */
	V2_DOING_DIGEST, /* of what is there, on either side, the digest is being made */
	V2_DOING_MOVE,   /* content */
	V2_DOING_STORE   /* all of it has moved, and is being made durable */
};

/* What is being done for a request that is under way. */
struct v2_doing {
	enum v2_doing_what what;
	uint64_t done, of; /* DIGEST: bytes, as far as they are known; else 0 */
};

struct v2_doing v2_request_doing(const struct v2_request *r);

/* --- Requests without content --- */

/* Version that is not asked for: { NULL, 0 }. */
struct v2_ask {
	struct v2_request r; /* the first member */

	/* What came with FTX_OK; names, versions and cursors within on_done only. */
	uint8_t ok_flags; /* V2_OK_EXISTED, V2_OK_UNSYNCED */
	union {
		struct v2_entry stat;
		struct v2_renamed rename;
		struct v2_digest_made sum;
		struct v2_page list; /* its cursor; entries by v2_ask_next_entry() */
		struct v2_ping ping;
	} got;

	/* Ours, from here on. */
	struct cursor entries;
	unsigned empty_pages; /* in a row */
	uint8_t cursor[64];
	union {
		struct v2_stat stat;
		struct v2_list list;
		struct v2_mkdir mkdir;
		struct v2_rename rename;
		struct v2_remove remove;
		struct v2_digest sum;
		struct v2_ping ping;
	} asked;
};

/*
 * ask is all zero but for on_done and arg. flags: those of the message (V2_BARRIER,
 * V2_MKDIR_PARENTS ...). kind: DIGEST_NONE is the page's default.
 */
void v2_client_stat(struct v2_client *c, struct v2_ask *ask, const char *name,
    enum digest_kind kind, uint8_t flags);
/*
 * One page; cursor: got.list.cursor of the page before (which is copied), or { NULL, 0 }. Every
 * name in it has been looked at: one component, none that climbs. The same ask is to be used for
 * the next page, and is not to be made zero before: 64 empty pages in a row are a breach.
 */
void v2_client_list(struct v2_client *c, struct v2_ask *ask, const char *name,
    struct v2_slice cursor, enum digest_kind kind, uint8_t flags);
/* Within on_done. False: there are no more. */
bool v2_ask_next_entry(struct v2_ask *ask, struct v2_entry *e);
/* mode: -1 is the server's. */
void v2_client_mkdir(
    struct v2_client *c, struct v2_ask *ask, const char *name, int mode, uint8_t flags);
void v2_client_rename(struct v2_client *c, struct v2_ask *ask, const char *name, const char *to,
    struct v2_slice if_version, uint8_t flags);
void v2_client_remove(struct v2_client *c, struct v2_ask *ask, const char *name,
    struct v2_slice if_version, uint8_t flags);
/* length: UINT64_MAX is to the end. */
void v2_client_sum(struct v2_client *c, struct v2_ask *ask, const char *name, enum digest_kind kind,
    uint64_t offset, uint64_t length, uint8_t flags);
/* At once, past all that waits. */
void v2_client_ping(struct v2_client *c, struct v2_ask *ask);

/* --- Uploads --- */

/* A receipt, copied out of its message. */
struct v2_receipt_copy {
	uint8_t flags; /* V2_OK_SAME, V2_OK_SUPERSEDED, V2_OK_UNSYNCED: is it enough? */
	char *name;    /* owned by the request's struct: as the server spells it; v2_put_clear() */
	uint64_t size;
	struct digest_value digest;
	size_t version_len;
	uint8_t version[V2_VERSION_MAX];
	struct v2_time time;
};

/* Content that comes from, or goes to, something that is no file. */
struct v2_stream {
	/*
	 * A source: up to len bytes into p; how many: *n. 0 with FTX_OK: none now, and the owner
	 * calls v2_request_continue() when there are; with FTX_TRUNCATED: that was all.
	 */
	enum ftx_rc (*read)(void *arg, void *p, size_t len, size_t *n);
	/* A target: takes *n of len bytes; fewer: as above. No digest vouches for them yet. */
	enum ftx_rc (*write)(void *arg, const void *p, size_t len, size_t *n);
	void *arg; /* borrowed */
};

/* All zero but for what is asked. */
struct v2_put_request {
	struct v2_request r;   /* the first member */
	const char *name;      /* there */
	uint8_t flags;         /* V2_BARRIER, V2_PUT_PARENTS; NOW is ours to decide */
	enum v2_policy policy; /* 0: V2_CREATE; those with SAME need `digest` */
	struct v2_slice if_version;
	bool has_mtime, has_mode;
	bool has_upload_id; /* without one nothing can be resumed or asked for again */
	struct v2_time mtime;
	uint16_t mode;
	uint8_t upload_id[V2_UPLOAD_ID_SIZE];
	enum digest_kind kind;      /* DIGEST_NONE: XXH3-128 */
	struct digest_value digest; /* of the whole file, if it is known; its kind counts then */
	bool ask_first; /* never NOW: who expects to have it there already, or in part */

	/* One of these is where the content is. The file is opened when its turn is near. */
	struct store *store; /* borrowed: a local one, and the name in it */
	const char *local_name;
	const void *memory; /* borrowed: memory_size bytes */
	size_t memory_size;
	const struct v2_stream *stream; /* borrowed */

	/* Kept by us; to be read at any time. Bytes. */
	uint64_t size;    /* of the whole; UINT64_MAX: not known (yet) */
	uint64_t moved;   /* sent so far, what the server had already included */
	uint64_t resumed; /* that it had already */
	uint64_t arrived; /* that the server has told to have */

	/*
	 * With FTX_OK: checked against size and digest. With FTX_DIGEST_MISMATCH and no code: of
	 * what was published under this upload_id, which is not what is here.
	 */
	struct v2_receipt_copy receipt;

	/* Ours, from here on. */
	struct transfer *transfer; /* owned */
	struct chunk *chunk;       /* owned: read and not sent yet */
	struct chunk *rest;        /* owned: of a stream: the beginning of a block */
	size_t part;               /* of a stream: bytes in it that make no whole block yet */
	struct digest running;
	struct digest_trail *trail; /* owned: of what was read, in this try and those before */
	struct meta_version trail_version; /* of the file, as it was then */
	struct digest_value own;           /* of the whole content, once it is known */
	uint64_t offset;                   /* of what was read and digested */
	uint64_t digest_to;                /* what is being digested ends there */
	uint64_t have;                     /* OFFSET of HAVE */
	const void *whole;                 /* borrowed: all of a small content */
	uint8_t *small;   /* owned: of a small file all of it, if is_small; NULL: it is empty */
	uint16_t owed_id; /* an END is owed under this id; 0: none */
	bool opening, opened, reading, digesting, all_read, is_head, is_small;
};

/*
 * A file of up to MAX_NOW bytes is sent at once, behind its head; others are announced, and sent
 * when the server says GO. Fails with FTX_CHANGED (local) when the file changes meanwhile: the
 * server drops what it has of it then; a new upload_id is due.
 */
void v2_client_put(struct v2_client *c, struct v2_put_request *put);
/*
 * Frees what the receipt holds; what is known of the content stays, for the same struct to be
 * handed to a client again.
 */
void v2_put_again(struct v2_put_request *put);
/* Frees all that it holds; idempotent. */
void v2_put_clear(struct v2_put_request *put);

/* --- Downloads --- */

/* Bytes: a file that is not larger is not worth going on with. */
#define V2_PART_MIN ((uint64_t)1024 * 1024)

/* All zero but for what is asked. */
struct v2_get_request {
	struct v2_request r; /* the first member */
	const char *name;    /* there */
	uint8_t flags;       /* V2_BARRIER */
	bool has_range;
	uint64_t offset, length; /* length: UINT64_MAX is to the end */
	struct v2_slice if_version;
	enum digest_kind kind; /* DIGEST_NONE: XXH3-128 */

	/*
	 * Where it goes: a new file of a local store, as spec says; its mode and time are the
	 * server's, if they are to be kept. Or a stream.
	 */
	struct store *store; /* borrowed */
	struct put_spec spec;
	bool keep_mode, keep_mtime;
	/*
	 * What has come of a large file stays beside it when this process ends, and what is there
	 * is gone on with, if it is the same content. (Looking for it costs a small file a job.)
	 */
	bool keeps_part;
	const struct v2_stream *stream; /* borrowed */

	/*
	 * FILE has come: what is below is known, nothing is made yet. May change spec, and cancel
	 * the request. NULL is allowed.
	 */
	void (*on_found)(void *arg, struct v2_get_request *get);
	/*
	 * All of the content is there, as each digest says, and in the store, but for what is
	 * small: it is published when the owner says so, by v2_get_publish(), or cancels. NULL: at
	 * once.
	 */
	void (*on_whole)(void *arg, struct v2_get_request *get);

	/* Kept by us; to be read at any time, file.* from on_found on. Bytes. */
	struct v2_file file; /* its file_version is `version` */
	uint64_t size;       /* of what will have come at the end; UINT64_MAX: not known yet */
	uint64_t moved;      /* what there is of it, what was there already included */
	uint64_t resumed;    /* that was there already */
	struct digest_value digest; /* with FTX_OK: of exactly the bytes that are there */

	/*
	 * Ours, from here on. After a failure whose outcome is retryable these hold what has come:
	 * the same struct, handed to a client again, goes on from there.
	 */
	struct transfer *transfer; /* owned */
	struct chunk *chunk;       /* owned: received and not written yet */
	size_t written;            /* of a stream: bytes of it that are */
	uint8_t *small;            /* owned: of a small file all of it; NULL: none of it has come */
	struct digest running;     /* of all that is there, chunk included */
	struct digest sent;        /* resuming: of what this GET has brought */
	size_t version_len;
	uint8_t version[V2_VERSION_MAX];
	uint64_t left;   /* bytes of content that are still to come */
	uint64_t resume; /* RESUME, as it was asked */
	bool opening, opened, writing, finishing, stalled, short_data, resumes, is_small;
	bool looking, looked; /* for what an earlier process has left */
	bool reserved;        /* the transfer has its space */
	bool vouched;         /* what there is, is of `version` */
};

/*
 * Published, with FTX_OK, is only what every digest vouches for. A file is durable then. What
 * fails for good, or by a digest, leaves nothing behind; else what is kept is (keeps_part).
 */
void v2_client_get(struct v2_client *c, struct v2_get_request *get);
/* After on_whole, once. */
void v2_get_publish(struct v2_get_request *get);
/* Drops what there is of it; idempotent. */
void v2_get_clear(struct v2_get_request *get);

/* The stream of a put has bytes again, or that of a get takes some. */
void v2_request_continue(struct v2_request *r);

#endif
