/*
 * server_private.h - what the files of the server's half share; nobody else includes it.
 * Layer: v2, private to its server library. Threads: the connection's worker.
 * Tests: see v2/server.h
 *
 * One connection, and its requests. What happens is one of: bytes or room on the socket, the end of
 * something in the store, a timer. Each of these is told to what it is about, and ends with
 * v2s_run(), which does all that has become possible, in one place: starts requests, reads frames,
 * sends content, and at last hands the collected output to the kernel at once.
 */
#ifndef V2_SERVER_PRIVATE_H
#define V2_SERVER_PRIVATE_H

#include <sys/queue.h>

#include "base/buf.h"
#include "loop/worker.h"
#include "net/pump.h"
#include "store/digest.h"
#include "store/put_content.h"
#include "store/store.h"
#include "v2/message.h"
#include "v2/result.h"
#include "v2/server.h"

struct v2s_conn;
struct v2s_request;

/* The connection's own states; those of requests are at their tables. */
enum v2s_conn_state {
	V2S_OPENING_PREFACE,
	V2S_OPENING_HELLO,
	V2S_OPEN,
	V2S_DRAINING,  /* GOODBYE was sent */
	V2S_FINISHING, /* the client has half-closed */
	V2S_CLOSING
};

/* Of what a connection has so many at a time, and the rest of it waits: in this order. */
enum v2s_class {
	V2S_NOW,        /* PUTs with NOW: small ones while they are stored, others from the start */
	V2S_HEADS,      /* PUTs without NOW, until all of them has come */
	V2S_PUBLISHING, /* and then; nobody waits for that: without it they stay in HEADS */
	V2S_GETS,       /* open files on their way out */
	V2S_SUMS,       /* digests being made */
	V2S_LISTS,      /* pages being made */
	V2S_CLASSES
};

/*
 * By what right a request with a place has files open (core/limits). Each connection has one share
 * of its own, so that it always gets on; more are borrowed as long as there are any.
 */
enum v2s_share {
	V2S_NO_SHARE, /* or its transfer has it */
	V2S_OWN_SHARE,
	V2S_BORROWED_SHARE
};

/* Row of a request's table. Its state is entered before the action, which may free the request. */
struct v2s_row {
	uint8_t state, event;
	void (*action)(struct v2s_request *r); /* NULL: nothing to do */
	uint8_t next;
};

/* What a request is, by its type. */
struct v2s_kind {
	const char *const *states; /* their names; the first one: waiting for those before it */
	const struct v2s_row *rows;
	size_t row_count;
	/* Takes the message apart; what it finds wrong, or FTX_OK. */
	enum ftx_rc (*take)(struct v2s_request *r, const struct v2_frame *f);
	/* Those before it have gone, as far as it must wait for them. */
	void (*start)(struct v2s_request *r);
	/* Stops what is under way. False: it is too late. */
	bool (*cancel)(struct v2s_request *r);
};

/* A file that is not larger goes out as one piece, with what stands around it. */
#define V2S_SMALL_MAX ((uint64_t)64 * 1024)

/*
 * And one with NOW is kept in memory until it is whole. All that goes together (store/commit) had
 * better come so: else each file has to be opened, and room made, before more is read.
 */
#define V2S_WHOLE_MAX ((uint64_t)256 * 1024)

/*
 * PUTs with NOW that are under way at a time. The more there are, the fewer are the flushes of a
 * disk: up to a point.
 */
#define V2S_NOW_MAX 256

/*
 * Frames that are taken, and content that is sent, before it is somebody else's turn; where there
 * is a queue for that (loop/work).
 */
#define V2S_TURN_FRAMES 64
#define V2S_TURN_SENT   ((size_t)1024 * 1024)

#define V2S_STAY UINT8_MAX

struct v2s_request {
	struct grave grave;               /* the first member */
	TAILQ_ENTRY(v2s_request) link;    /* in order, until it is answered */
	TAILQ_ENTRY(v2s_request) waiting; /* for a place of its class */
	SLIST_ENTRY(v2s_request) same;    /* with others in the table of ids */
	struct v2s_conn *c;               /* borrowed */
	const struct v2s_kind *kind;      /* static; NULL: nothing is done but answered */
	uint8_t type, flags, state;
	uint16_t id;
	uint16_t cancel_id; /* of a CANCEL that is answered when this is; 0: none */
	bool started, answered, owes_end;
	bool is_waiting, has_place; /* of its class */
	enum v2s_share share;       /* with its place */
	bool is_head;               /* a PUT without NOW before its END */
	enum v2s_class place;
	void (*on_place)(struct v2s_request *r);
	enum ftx_rc refusal;        /* AUTH, and what is refused in its turn */
	uint64_t discarded;         /* bytes of content, after the answer */
	char *name, *to;            /* owned: normalised; NULL: none */
	struct put_content content; /* owned: PUT: of a small file, all of it */
	size_t buffered;            /* bytes of it that the connection counts */
	uint64_t cursor;            /* LIST: where it goes on; 0: at the beginning */

	struct store_request *asked; /* owned; NULL: none */
	struct transfer *transfer;   /* owned; NULL: none */
	struct digest digest;        /* of content that passes */
	enum ftx_rc digest_rc;
	struct digest_value sum; /* the same at its end */

	uint64_t from, end;              /* GET: offsets of what is sent */
	bool prefix_due;                 /* PREFIX has not come; then: */
	bool queued;                     /* GET: for its turn to be sent, or while it is */
	uint64_t prefix_at;              /* since when it has been due, ms */
	uint64_t prefix_len;             /* of so many bytes it is */
	enum digest_kind prefix_kind;    /* and of that kind */
	struct digest_value prefix;      /* the client's; DIGEST_NONE: it begins anew */
	struct meta_version has_version; /* GET: the client's; PUT: of what is the same */
	bool stored;                     /* GET: FILE had the digest */
	bool needs_room;                 /* PUT: a stream: more is to be promised first */
	bool ended;                      /* PUT: its END has come */
	bool looks_up;                   /* PUT: see v2s_put_look_up() */
	uint64_t received;     /* PUT: offset that content has come to, with frames under way */
	uint64_t digested;     /* and that of its digest */
	uint64_t told;         /* PUT: of that, what the client knows */
	struct v2_end put_end; /* PUT: what that said */
	struct meta_version if_version;
	union {
		struct v2_put put;
		struct v2_get get;
		struct v2_stat stat;
		struct v2_list list;
		struct v2_mkdir mkdir;
		struct v2_digest digest;
	} m; /* slices in it are of no use any more */
};

TAILQ_HEAD(v2s_requests, v2s_request);
SLIST_HEAD(v2s_same, v2s_request);

#define V2S_IDS     64 /* lists in the table of ids: a power of two */
#define V2S_CURSORS 4

/* A listing that can go on. */
struct v2s_cursor {
	uint64_t number;             /* 0: none */
	struct store_request *asked; /* owned */
	uint64_t used;               /* ms */
};

/* In which the peer has to move so many bytes; only its own time counts. */
struct v2s_window {
	bool open;
	uint64_t ms;   /* counted so far */
	uint64_t from; /* bytes that had moved at its beginning */
};

struct v2s_conn {
	struct grave grave;             /* the first member */
	struct conn *conn;              /* borrowed; outlives this half's running */
	const struct v2_server *server; /* borrowed */
	uint8_t state;
	bool running, again; /* v2s_run() */
	bool closed, is_dead;
	struct worker *worker; /* borrowed */
	bool blocked;          /* what comes next has to wait for one of our own operations */
	bool stalled;          /* or for the client, which takes no output */
	enum ftx_rc ending;    /* a connection error that waits for the end of a frame */
	unsigned frames;       /* taken since its turn began */
	size_t sent;           /* of content, since then, and what it costs besides */
	struct work more;      /* its next turn: there is more of the one or the other */
	struct mail flush;     /* the output is to be handed on, later in this turn */
	bool flush_due;
	struct buf out;          /* collected, and for as long as DATA is under way */
	struct chunk *out_chunk; /* owned: its memory, within a turn; NULL: it has its own */

	struct v2_terms terms;
	uint32_t max_data;            /* of the client */
	uint64_t features;            /* that are on */
	struct v2s_requests order;    /* those without a final result */
	struct v2s_request *auth_due; /* it has its turn; NULL: none */
	struct v2s_same ids[V2S_IDS]; /* all that are live */
	unsigned live, heads;
	unsigned unstarted,
	    barriers;    /* the last ones of `order`; of these, others wait for so many */
	size_t buffered; /* content of small files */
	struct v2s_requests waiting[V2S_CLASSES];
	unsigned places[V2S_CLASSES];  /* taken */
	struct v2s_request *own_share; /* which request has the connection's own; NULL: none */
	bool own_lent;                 /* the store has it, for what that request began or left */
	unsigned lent;                 /* shares that the store has so, that one among them */

	unsigned refused;             /* requests that were, in the minute that ends then: */
	_Atomic uint64_t refused_due; /* log_is_due() */

	/* From the client. */
	struct v2s_request *receiving; /* whose frame of DATA is under way with the pump */
	uint16_t content_id;           /* whose content is under way; 0: nobody's */
	bool content_short;            /* its last DATA was one */
	uint64_t skip;                 /* bytes of DATA to be thrown away, or to fill: */
	struct v2s_request *filling;   /* whose content in memory; NULL: nobody's */
	struct v2s_request *receiver;  /* whose content the pump has */
	struct pump receive;

	/* To the client. */
	struct v2s_requests to_send; /* GETs in their turn: linked by `waiting` */
	struct v2s_request *sender;  /* the first one of them, once FILE ... */
	bool sending;                /* a frame of DATA is with the pump */
	bool begun;                  /* the pump has had its first run of this one */
	uint64_t zeros;              /* bytes that the frame lacks */
	struct pump send;

	struct v2s_cursor cursors[V2S_CURSORS];
	uint64_t cursor_number;

	/* Time, ms of base/clock. */
	struct timer timer;
	bool is_awake; /* the timer runs every second */
	uint64_t opened;
	uint64_t sent_at;         /* a message of ours */
	uint64_t looked_at, step; /* the last look, and how long the one before was ago */
	uint64_t heard_at;        /* when any bytes came, or it was we who did not read */
	uint64_t announced;       /* bytes of DATA by its headers, and those of END */
	uint64_t come;            /* of these, by the last look */
	uint64_t content_at;      /* when any came, or none was due, or it was we */
	uint64_t taken, taken_at; /* bytes that the peer has taken of ours */
	struct v2s_window receives, takes;
	uint64_t goodbye_at;
};

/* server_conn.c */
void v2s_run(struct v2s_conn *c);
/* Appends a frame of that message to the output. */
void v2s_send(
    struct v2s_conn *c, enum v2_message_id message, const void *m, uint8_t flags, uint16_t id);
void v2s_send_bytes(struct v2s_conn *c, const void *p, size_t len);
/* Hands the output on now: before content is sent. */
void v2s_flush(struct v2s_conn *c);
/* At the end of the turn, after v2s_run() where there is more to do (again). */
void v2s_flush_soon(struct v2s_conn *c);
/* After its end: frees it, unless somebody else knows it still, who calls this again. */
void v2s_conn_let_go(struct v2s_conn *c);
void v2s_fail(struct v2s_conn *c, enum ftx_rc why, uint16_t target);
void v2s_enter(struct v2s_conn *c, enum v2s_conn_state state);

/* That was done in this turn; when there is no more in it, the next one is asked for. */
void v2s_count_frame(struct v2s_conn *c);
void v2s_count_sent(struct v2s_conn *c, size_t bytes);

static inline bool
v2s_may_send(const struct v2s_conn *c)
{
	return c->sent < V2S_TURN_SENT;
}

/* So much waits for the client to read it that nothing large is to be added. */
bool v2s_is_stalled(const struct v2s_conn *c);

/* server_frames.c: what comes from the client */
void v2s_read_frames(struct v2s_conn *c);

/* server_requests.c */
struct v2s_request *v2s_find(const struct v2s_conn *c, uint16_t id);
/* In its place in the order. NULL: no memory. */
struct v2s_request *v2s_request_new(struct v2s_conn *c, const struct v2_frame *f);
void v2s_start_ready(struct v2s_conn *c);
/* An AUTH that has its turn, when what was sent with it has been read. */
void v2s_fail_auth(struct v2s_conn *c);
void v2s_event(struct v2s_request *r, uint8_t event);
/* Its final result; what it has is given back. */
void v2s_answer(struct v2s_request *r, enum v2_message_id message, const void *m, uint8_t flags);
void v2s_refuse(struct v2s_request *r, enum ftx_rc why);
/* PREFIX is due from here on, of that many bytes. */
void v2s_want_prefix(struct v2s_request *r, uint64_t len, enum digest_kind kind);
/* Its END has come, or its content was never owed. */
void v2s_content_ended(struct v2s_request *r);
void v2s_cancel(struct v2s_conn *c, const struct v2_frame *f);
void v2s_requests_clear(struct v2s_conn *c);
/* A PUT before the barrier that r stands behind, or a GET, waits for the client. */
bool v2s_stands_in_the_way(const struct v2s_request *r);

/* server_places.c */
/* on_place(r) now or later; it may be refused instead. */
void v2s_want_place(
    struct v2s_request *r, enum v2s_class place, void (*on_place)(struct v2s_request *r));
void v2s_leave_place(struct v2s_request *r);
/* Whoever waits for a place that has become free. */
void v2s_give_places(struct v2s_conn *c);
/*
 * What it has begun in the store, a transfer or else a request, has files open for longer than it
 * has itself, and perhaps than its connection.
 */
void v2s_lend_share(struct v2s_request *r);
/* It is that class's from here on, and another one may have its place; if there is one. */
void v2s_move_place(struct v2s_request *r, enum v2s_class place);

/* server_names.c */
extern const struct v2s_kind v2s_stat_kind, v2s_list_kind, v2s_mkdir_kind, v2s_rename_kind,
    v2s_remove_kind, v2s_digest_kind;
enum ftx_rc v2s_take_name(
    struct v2s_request *r, struct v2_slice name, bool made, bool root, char **out) FTX_MUST_CHECK;
struct v2_slice v2s_version(const struct meta_version *v);
enum ftx_rc v2s_take_version(struct v2_slice s, struct meta_version *v) FTX_MUST_CHECK;
struct v2_time v2s_time(const struct timespec *t);
/* What it is now. */
struct v2_time v2s_clock(void);
/* What is there is not a regular file: says what it is. Answers r. */
void v2s_refuse_kind(struct v2s_request *r);
/* kind: of the digest that is wanted; DIGEST_NONE: any. */
void v2s_fill_entry(struct v2_entry *e, const struct meta *m, unsigned kind);

/* server_list.c */
enum ftx_rc v2s_take_list(struct v2s_request *r, const struct v2_frame *f) FTX_MUST_CHECK;
enum ftx_rc v2s_begin_list(
    struct v2s_request *r, struct request_spec *spec, request_done_cb *on_done) FTX_MUST_CHECK;
void v2s_answer_list(struct v2s_request *r);
void v2s_cursors_clear(struct v2s_conn *c);
/* Those that nobody has gone on with for long go. True: there are others. */
bool v2s_cursors_expire(struct v2s_conn *c);

/* server_put.c */
extern const struct v2s_kind v2s_put_kind;

/* server_content.c */
/* Its memory, or what is counted as that, is free for others. */
void v2s_put_unbuffer(struct v2s_request *r);
/* DATA or END of it can be taken now. */
bool v2s_put_takes(const struct v2s_request *r);
/* FTX_OK: so many bytes may come. */
enum ftx_rc v2s_put_expects(const struct v2s_request *r, uint64_t length);
void v2s_put_receive(struct v2s_request *r, uint32_t length);
void v2s_put_end(struct v2s_request *r, const struct v2_frame *f);
/* GO was sent, or NOW: content is due and nothing of ours stands in the way. */
bool v2s_put_waits_for_client(const struct v2s_request *r);

/* server_upload.c */
/* Its PREFIX has come. */
void v2s_put_prefixed(struct v2s_request *r);

/* server_get.c */
extern const struct v2s_kind v2s_get_kind;
/* Its PREFIX has come. */
void v2s_get_prefixed(struct v2s_request *r);
bool v2s_get_waits_for_client(const struct v2s_request *r);
/* No other content is under way: it is the one to be sent. */
void v2s_get_turn(struct v2s_request *r);

/* server_send.c */
/* No content is under way or waits for its turn, and the client takes what it is sent. */
bool v2s_may_send_now(struct v2s_conn *c);
/* Then: all the content of r, and its final result; FILE has told its digest. */
void v2s_send_whole(struct v2s_request *r, const void *p, size_t len);
void v2s_send_content(struct v2s_conn *c);
/* It is not sent, or not any more. */
void v2s_get_stop(struct v2s_request *r);

/* server_time.c */
/* Content of r is due from here on. */
void v2s_content_is_due(struct v2s_request *r);
void v2s_on_timer(void *arg);
void v2s_arm(struct v2s_conn *c);

#endif
