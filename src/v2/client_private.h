/*
 * client_private.h - what the files of the client's half share; nobody else includes it.
 * Layer: v2, private to its client library. Threads: the connection's worker.
 * Tests: see client.h
 *
 *   client.c          the connection's life, and the requests that wait
 *   client_request.c  a request's life: its table, its ends
 *   client_doing.c    what a user may want to know of it
 *   client_input.c    frames that come        client_output.c  frames that go
 *   client_time.c     silence and PING
 *   client_ask.c      requests without content
 *   client_put.c      PUT                     client_source.c  where its content comes from
 *   client_put_message.c  what it says, and its receipt
 *   client_get.c      GET                     client_target.c  where its content goes
 *   client_small.c    likewise, if it is small
 *                                             client_part.c    what outlives the process
 */
#ifndef V2_CLIENT_PRIVATE_H
#define V2_CLIENT_PRIVATE_H

#include "base/buf.h"
#include "loop/chunk.h"
#include "loop/worker.h"
#include "net/conn.h"
#include "store/transfer.h"
#include "v2/client.h"

/* Requests on their way at most, whatever the server would take: they have ids from 1 to this. */
#define LIVE_MAX 256
/* The id of the CANCEL of request N is N and this. */
#define CANCEL_ID 0x4000
/* More than so many that wait are too many for v2_client_ready(); with fewer it asks for more. */
#define QUEUE_HIGH 100
#define QUEUE_LOW  50
/* Puts whose file is opened, and perhaps read, before it is their turn. */
#define PREPARED_MAX 16
/* At least a whole message. Small downloads that come at once are published together. */
#define INPUT_MAX ((size_t)128 * 1024)
_Static_assert(INPUT_MAX >= V2_HEADER_SIZE + V2_CONTROL_MAX, "a message does not fit");
/* Bytes of frames that wait for the kernel, with which nothing new is begun. */
#define OUTPUT_HIGH ((size_t)256 * 1024)
/* Payload of DATA that we take, and that we send, at most. */
#define OUR_MAX_DATA 1048576
#define DATA_PIECE   CHUNK_SIZE
/*
 * Content of one upload that is on its way, at most, where the server tells what has come: so much
 * of it is lost with the connection, and sent again. It is also the most that moves in one round
 * trip. For all that goes unasked it is the same, until it is answered.
 */
#define WINDOW_MAX ((uint64_t)6 * 1024 * 1024)
/* Content of a PUT that goes unasked, at most: more costs memory, and gains nothing. */
#define NOW_MAX ((uint64_t)256 * 1024)
/* Downloads that have memory which waits for a place or for the disk, at most. */
#define WRITING_MAX 8
/*
 * A download that is kept in memory until all of it has come, and then is one operation of the
 * store; and bytes of them all. What is larger, or more, goes by the former's way.
 */
#define SMALL_MAX       ((uint64_t)64 * 1024)
#define SMALL_BYTES_MAX ((uint64_t)8 * 1024 * 1024)
/* Pages without an entry, one after the other. */
#define EMPTY_PAGES_MAX 64

#define SILENCE_MS 45000
#define PING_MS    30000
/*
 * Of requests that are live a server says something every 15 s, or 15 s after a PONG: one that
 * answers PINGs only has forgotten them.
 */
#define UNTOLD_MS 90000

/* What happens to a request. Messages but ERROR, which leads from every state to the end. */
enum v2_request_event {
	V2_ON_TURN, /* its head goes out */
	V2_ON_NOW,  /* its head and its content go out */
	V2_ON_OK,   /* messages, from here to V2_ON_END */
	V2_ON_PAGE,
	V2_ON_GO,
	V2_ON_HAVE,
	V2_ON_FILE,
	V2_ON_DATA,
	V2_ON_END,
	V2_ON_DIGEST, /* what was to be read is digested */
	V2_ON_SENT,   /* content and END are sent */
	V2_ON_STORED, /* the content is written */
	V2_ON_ANSWER  /* the final result has come, but there is more to do here */
};

/*
 * A row of a request's table. An action that fails ends the connection if the event is a message
 * (the server's fault), else the request (ours); it may end the request by itself. f: the message.
 */
struct v2_step {
	uint8_t state;
	uint8_t event;
	enum ftx_rc (*action)(struct v2_request *r, const struct v2_frame *f);
	uint8_t next; /* V2_STAY: the action says, or it stays */
};
#define V2_STAY UINT8_MAX

struct v2_request_state {
	const char *name;
	enum v2_doing_what what;
};

struct v2_request_ops {
	const struct v2_request_state *states;
	const struct v2_step *steps;
	size_t step_count;
	/* Its turn is near: begins what that needs. Called again and again. */
	void (*prepare)(struct v2_request *r);
	/*
	 * It is the first that waits, and the limits have room: sends it, or ends it. False: it has
	 * to wait, and so have those behind it.
	 */
	bool (*turn)(struct v2_request *r);
	/* It may be sent before those that wait in front of it. NULL: it may not. */
	bool (*may_pass)(struct v2_request *r);
	/* The outcome is settled: lets go of all. False: it calls v2_request_done() later. */
	bool (*let_go)(struct v2_request *r);
	/* Sent, not answered, and of no use any more: the server is told, as it may. */
	void (*give_up)(struct v2_request *r);
};

enum v2_client_state { GREETING, OPEN, PARTING, HALF_CLOSED, CLOSED };

/* The frame of DATA that is being sent. */
struct v2_sender {
	struct chunk *chunk; /* owned: the payload; NULL: no frame is under way */
	uint8_t header[V2_HEADER_SIZE];
	size_t at;  /* bytes sent, the header's included */
	size_t len; /* of the payload */
};

struct v2_client {
	struct grave grave; /* the first member */
	struct conn *conn;  /* borrowed; NULL once it is closing */
	struct worker *worker;
	const struct v2_client_callbacks *callbacks; /* borrowed, as arg */
	void *arg;
	enum v2_client_state state;
	bool greeted;        /* the server's HELLO has come */
	bool tells_progress; /* V2_FEATURE_PROGRESS is on */
	struct v2_server_info info;
	struct v2_limits limits; /* that hold now */
	struct v2_terms terms;

	/* Requests: where they are, each in one list at most. */
	struct v2_requests queue;               /* not sent yet */
	struct v2_requests going;               /* puts with GO; the first is being sent */
	struct v2_requests settling;            /* answered, and not done yet */
	struct v2_requests done;                /* whose on_done comes soon */
	struct v2_requests pings;               /* without a PONG */
	struct v2_request *slots[LIVE_MAX + 1]; /* by id: sent, and without a final result */
	bool cancelling[LIVE_MAX + 1];          /* by id: a CANCEL has no result yet */
	unsigned held;                          /* handed in, and not done */
	unsigned queued, live, prepared, heads, barriers, writing;
	uint64_t unasked;     /* bytes of content with NOW that have no answer yet */
	uint64_t small_bytes; /* of downloads that are kept in memory until they are whole */
	uint16_t last_id;
	bool was_full, finishing;

	/* Output. */
	struct buf out; /* whole frames that are not with the connection yet */
	struct v2_sender sender;
	struct mail soon;
	bool soon_pending, running;

	/* Input: the DATA under way. */
	struct v2_get_request *receiving; /* whose content is under way; NULL: nobody's */
	size_t data_left;                 /* of the payload */
	bool bulk;                        /* it does not come by the connection's input */
	bool prefaced;
	bool input_soon;

	struct timer timer;
	uint64_t quiet_from; /* ms: since then nothing has come */
	uint64_t told_from;  /* ms: nothing but PONGs */
	uint64_t sent_at;    /* ms: something went out last */
	struct v2_ask keepalive;
	bool keepalive_sent;

	struct v2_outcome end; /* of the connection, once it is closed */
	char end_text[V2_TEXT_MAX];
};

/* client.c */
/* The connection ends for this reason: with a reset, as what may be on its way is of no use. */
void v2_client_fail(struct v2_client *c, enum ftx_rc rc, enum v2_whose whose, bool breach);
/* The same after an ERROR of the connection's, or what else the outcome says. */
void v2_client_end(struct v2_client *c, const struct v2_outcome *o);
/* Looks, later in this turn, what can be sent, and calls who is done. */
void v2_client_soon(struct v2_client *c);
/* Hands a request in: it is of that type, and has these ops. */
void v2_client_submit(struct v2_client *c, struct v2_request *r, const struct v2_request_ops *ops,
    enum v2_type type, uint8_t flags);
/*
 * Whether a request that uses this kind of digest may be sent. False: it has to wait for the
 * server's HELLO; or it has failed (settled).
 */
bool v2_client_may_use(struct v2_request *r, enum digest_kind kind);
/* The id of the next request, which v2_client_go_live() then gives it: it is sent. */
uint16_t v2_client_next_id(const struct v2_client *c);
void v2_client_go_live(struct v2_client *c, struct v2_request *r);
void v2_client_set_state(struct v2_client *c, enum v2_client_state state);

/* client_request.c */
/* Into this list, at its end, out of the one where it is; NULL: into none. */
void v2_request_move(struct v2_request *r, struct v2_requests *to);
/* What the table says. */
void v2_request_event(struct v2_request *r, enum v2_request_event event, const struct v2_frame *f);
void v2_request_set_state(struct v2_request *r, uint8_t state);
/* Notes how it ends, unless that is settled. */
void v2_request_settle(struct v2_request *r, const struct v2_outcome *o);
/* For a reason of ours. One that was sent waits for its final result. */
void v2_request_fail(struct v2_request *r, enum ftx_rc rc, enum v2_whose whose);
/* It is in the queue: it leaves it, and ends. */
void v2_request_drop(struct v2_request *r);
/* The final result has come: the id is free. */
void v2_request_free_id(struct v2_request *r);
/* As it should, unless another end is settled. */
void v2_request_succeed(struct v2_request *r);
void v2_request_error(struct v2_request *r, const struct v2_error *m);
/* The outcome is settled: as soon as it lets go it is done. */
void v2_request_end(struct v2_request *r);
/* Nothing holds it any more: calls on_done. */
void v2_request_done(struct v2_request *r);
/* The same, later in this turn. */
void v2_request_done_soon(struct v2_request *r);
/* CANCEL, once. */
void v2_request_send_cancel(struct v2_request *r);

/* client_input.c */
void v2_client_on_input(void *client);
/* Goes on with content that had to wait, and what is behind it, later in this turn. */
void v2_client_soon_input(struct v2_client *c);
void v2_client_resume_input(struct v2_client *c);

/* client_output.c */
/* Appends what the codec has made. 0: it made nothing of it, FTX_BAD_NAME. FTX_NOMEM. */
enum ftx_rc v2_client_add_frame(struct v2_client *c, const void *frame, size_t len) FTX_MUST_CHECK;
void v2_client_send_abort(struct v2_client *c, uint16_t id);
/* Nothing is in the way of a PUT with NOW. */
bool v2_client_content_is_free(const struct v2_client *c);
size_t v2_client_waiting_output(const struct v2_client *c);
/* Sends what there is, as far as the kernel takes it. */
void v2_client_send(struct v2_client *c);
void v2_client_on_output(void *client);

/* client_time.c */
void v2_client_on_timer(void *client);
void v2_client_heard(struct v2_client *c);
/* Something of what was asked for. */
void v2_client_told(struct v2_client *c);
/* We read nothing, because our own disk, or whoever takes a stream, has to catch up. */
bool v2_client_is_stalled(const struct v2_client *c);
void v2_client_set_timer(struct v2_client *c);

/* client_put.c, client_source.c */
extern const struct v2_request_ops v2_put_ops;
enum digest_kind v2_put_kind(const struct v2_put_request *put);
/* WORKING has come, with DONE. */
enum ftx_rc v2_put_progress(struct v2_put_request *put, uint64_t done) FTX_MUST_CHECK;
/* The content has ended: END, with its digest. */
void v2_put_send_end(struct v2_put_request *put);

/* client_put_message.c: the head, all of a small content, the END; as v2_client_add_frame(). */
enum ftx_rc v2_put_add_head(struct v2_put_request *put, uint8_t flags) FTX_MUST_CHECK;
enum ftx_rc v2_put_add_content(
    struct v2_put_request *put, const void *content, size_t size) FTX_MUST_CHECK;
enum ftx_rc v2_put_add_end(struct v2_put_request *put) FTX_MUST_CHECK;
/* The receipt: into put->receipt; and whether it is of what is here. */
enum ftx_rc v2_put_copy_receipt(
    struct v2_put_request *put, const struct v2_frame *f) FTX_MUST_CHECK;
bool v2_put_receipt_is_right(const struct v2_put_request *put);

enum v2_fill {
	V2_FILL_SOME,  /* put->chunk has some */
	V2_FILL_LATER, /* there is nothing for now; or the put has failed */
	V2_FILL_END    /* that was all: put->own is its digest */
};
/* Opens it; and reads what is not in memory, if it is as small as that. */
void v2_source_prepare(struct v2_put_request *put, uint64_t small);
/*
 * All of the content, which is small: at *p. V2_FILL_SOME, or later (the queue is looked at again).
 */
enum v2_fill v2_source_whole(struct v2_put_request *put, const void **p);
/*
 * Up to `want` of the next bytes into put->chunk: whole blocks, or up to the end. They are
 * digested.
 */
enum v2_fill v2_source_fill(struct v2_put_request *put, size_t want);
/* Digests up to that offset, or to the end (UINT64_MAX); V2_ON_DIGEST follows, perhaps within. */
void v2_source_digest(struct v2_put_request *put, uint64_t upto);
/* Begins again, at 0. */
void v2_source_rewind(struct v2_put_request *put);
/* What is digested so far. */
enum ftx_rc v2_source_sum(struct v2_put_request *put, struct digest_value *v) FTX_MUST_CHECK;
void v2_source_continue(struct v2_put_request *put);
void v2_source_let_go(struct v2_put_request *put);

/* client_get.c, client_target.c */
extern const struct v2_request_ops v2_get_ops;
/* It resumes, and what it is to say of what it has may be asked for still. */
bool v2_get_owes_prefix(const struct v2_get_request *get);
enum digest_kind v2_get_kind(const struct v2_get_request *get);
/* The header of a DATA: whether it is due. */
enum ftx_rc v2_get_data(struct v2_get_request *get, const struct v2_frame *f) FTX_MUST_CHECK;

/* What there is of it is of no use: from the beginning. */
void v2_target_rewind(struct v2_get_request *get);
/* FILE has come; with content that is there already, or without. */
void v2_target_open(struct v2_get_request *get);
/*
 * Takes up to len bytes of content from the connection. How many; stalled: it can take no more now,
 * and v2_client_soon_input() follows.
 */
size_t v2_target_receive(struct v2_get_request *get, size_t len);
/* All has come: what is left is written, then V2_ON_STORED, perhaps within. */
void v2_target_finish(struct v2_get_request *get);
/* Makes it durable, and gives it its name: then the request is done. */
enum ftx_rc v2_target_publish(struct v2_get_request *get) FTX_MUST_CHECK;
/* Keeps what there is, if the request may be tried again. False: it has to wait for the disk. */
bool v2_target_let_go(struct v2_get_request *get);
void v2_target_continue(struct v2_get_request *get);
/* The end of each operation of the store's. */
void v2_target_on_store(void *get, struct transfer *t, enum transfer_op op, enum ftx_rc rc);

/* client_part.c */
/* Looks for what an earlier process has left; v2_client_soon() follows. */
void v2_part_look(struct v2_get_request *get);
void v2_part_on_looked(struct v2_get_request *get, enum transfer_op op, enum ftx_rc rc);
/* Whether what there is will be worth something, to this process or to the next one. */
bool v2_part_is_of_use(const struct v2_outcome *o);

/* client_small.c: get->is_small, and what client_target.c does then. */
/* FILE has come, and nothing of it is there. */
void v2_small_choose(struct v2_get_request *get);
enum ftx_rc v2_small_open(struct v2_get_request *get) FTX_MUST_CHECK;
/* Up to len bytes of the connection's input: into its memory, or away. How many. */
size_t v2_small_receive(struct v2_get_request *get, size_t len);
size_t v2_small_skip(struct v2_get_request *get, size_t len);
enum ftx_rc v2_small_publish(
    struct v2_get_request *get, const struct put_spec *spec) FTX_MUST_CHECK;
/* Idempotent. */
void v2_small_drop(struct v2_get_request *get);

/* client_ask.c */
extern const struct v2_request_ops v2_ask_ops;
enum ftx_rc v2_client_take_pong(struct v2_client *c, const struct v2_frame *f) FTX_MUST_CHECK;

#endif
