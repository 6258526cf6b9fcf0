/*
 * server_put.h - what the files of PUT share; nobody else includes it.
 * Layer: v2, private to its server library. Threads: the connection's worker.
 * Tests: see v2/server.h
 *
 * Its table and its way through the store are in server_put.c. Beside it: whether the content
 * stands there already (server_same.c), what there is of it from an earlier try (server_upload.c),
 * what comes from the client (server_content.c), and the receipt (server_receipt.c).
 */
#ifndef V2_SERVER_PUT_H
#define V2_SERVER_PUT_H

#include "v2/server_private.h"

struct registry_claim;
struct upload_terms;

enum v2s_put_state {
	V2S_PUT_WAITING,
	V2S_PUT_CHECKING,
	V2S_PUT_COMPARING, /* HAVE was sent */
	V2S_PUT_RECEIVING,
	V2S_PUT_COMMITTING
};

enum v2s_put_event {
	V2S_PUT_ON_START,
	V2S_PUT_ON_HAVE,     /* there is content of an earlier try */
	V2S_PUT_ON_READY,    /* content may come */
	V2S_PUT_ON_CONTENT,  /* all of it is here, and right */
	V2S_PUT_ON_PUBLISHED /* and durable, under its name; or that was so before */
};

static inline bool
v2s_put_has_now(const struct v2s_request *r)
{
	return v2_is_put_now(r->type, r->flags);
}

/* Its size is not known before its end. */
static inline bool
v2s_put_is_stream(const struct v2s_request *r)
{
	return !V2_HAS(&r->m.put, SIZE);
}

static inline bool
v2s_put_is_small(const struct v2s_request *r)
{
	return v2s_put_has_now(r) && r->m.put.size <= V2S_WHOLE_MAX;
}

/* It can be asked about later, or gone on with. */
static inline bool
v2s_put_has_key(const struct v2s_request *r)
{
	return V2_HAS(&r->m.put, UPLOAD_ID);
}

/* server_put.c */
/* Nobody has that content under the name: it is to be sent. */
void v2s_put_go_on(struct v2s_request *r);
/*
 * The same stands there, but whether an earlier try of this very upload has put it there is to be
 * found out first.
 */
void v2s_put_look_up(struct v2s_request *r);
/* Space for all of it, or for the next steps of a stream; then content may come, from offset on. */
void v2s_put_reserve(struct v2s_request *r, uint64_t offset);

/* server_same.c: ends with an answer, or goes on. */
void v2s_put_check_same(struct v2s_request *r);
/* The same stands there (r->has_version), and this upload has not put it there. */
void v2s_put_settle_same(struct v2s_request *r);

/* server_upload.c */
/* By what it is known again: for one that has a key. */
void v2s_put_terms(const struct v2s_request *r, struct upload_terms *terms);
enum ftx_rc v2s_put_claim(struct v2s_request *r, struct registry_claim **out) FTX_MUST_CHECK;
void v2s_put_begin_compare(struct v2s_request *r);
/* PREFIX of the store has ended. */
void v2s_put_on_summed(struct v2s_request *r, enum ftx_rc rc);
/* Of the transfer: another request goes on with the upload. */
void v2s_put_on_taken(void *owner, struct transfer *t);

/* server_content.c */
/* It may come. */
void v2s_put_begin_content(struct v2s_request *r);
/* There is more room for a stream. */
void v2s_put_on_grown(struct v2s_request *r);
void v2s_put_on_written(struct v2s_request *r, enum ftx_rc rc);
/* Of a small file whose transfer has begun: once it is written its memory is another one's. */
void v2s_put_free_when_written(struct v2s_request *r);

/* server_receipt.c: its final result. */
void v2s_put_answer(struct v2s_request *r);
void v2s_put_answer_same(struct v2s_request *r, const struct meta *found, bool unsynced);

#endif
