/*
 * local_private.h - what the files of the store on a local directory share; nobody else includes
 * it.
 * Layer: store. Threads: the store's worker, but for what blocks (pool).
 * Tests: tests/unit/test_store.c, test_store_whole.c
 */
#ifndef STORE_LOCAL_PRIVATE_H
#define STORE_LOCAL_PRIVATE_H

#include "loop/pool.h"
#include "loop/work.h"
#include "store/commit.h"
#include "store/put_content.h"
#include "store/reader.h"
#include "store/root.h"
#include "store/stage.h"
#include "store/store.h"
#include "store/uploads.h"

struct local_store {
	struct store store; /* the first member */
	struct root *root;  /* borrowed */
	struct pool *pool;  /* borrowed */
	/* Puts that need no job: together at the end of this turn, or of a later one. */
	struct pool_jobs at_once;
	struct mail at_once_mail; /* one of both is under way as long as there are any: */
	struct work at_once_rest; /* more than a turn is for */
	/* Puts of uploads that are another one's yet; as long as there are any the timer runs. */
	struct pool_jobs to_claim;
	unsigned waiting; /* so many */
	struct timer look;
	/* Small files that are to be committed, and go to the pool together likewise. */
	struct pool_jobs to_commit;
	struct mail to_commit_mail;
	/* local_get_now(): what is the same for the rest of this turn. */
	struct stage_dir *now_dir; /* owned hold; NULL: none */
	struct mail now_mail;      /* lets go of it */
	bool now_due;              /* that is under way */
};

/* What is to be done before a put is committed; each includes the next one. */
enum local_due {
	LOCAL_DUE_COMMIT, /* nothing else */
	LOCAL_DUE_CONTENT,
	LOCAL_DUE_OPEN
};

/* What its thread may wait for meanwhile. */
enum local_wait {
	LOCAL_WAIT_NOTHING, /* the worker's: what stands on a device moves to a job */
	LOCAL_WAIT_DEVICE
};

struct local_transfer;

/* One put more, and each transfer; what a job may use stands below the line. */
struct local_put {
	struct stage stage;
	struct put_spec spec; /* its name is the transfer's */
	struct commit commit;
	struct space_hold hold;
	uint64_t reserved; /* bytes */
	bool unsynced;     /* after open: struct transfer's */
	/* ---- of a put_whole() */
	enum local_due due;
	struct put_content content; /* owned: until it is written */
	bool moves;                 /* it is nothing for the loop: a job is to go on */
	/* In a batch: borrowed, the directory of the one before; NULL: there is none. */
	struct stage_dir **last_dir;
	/* ---- of an upload that is known by its key */
	bool keyed;                 /* what follows is true */
	struct upload_terms terms;  /* spec.upload points here */
	struct upload_claim *claim; /* owned; NULL: it has none (any more) */
	bool claimed;               /* whether it gets one has been settled */
	bool again;                 /* that is to be waited for: */
	struct uploads_patience patience;
	void (*go_on)(struct local_transfer *lt); /* and then */
};

struct local_transfer {
	struct transfer t; /* the first member */
	struct pool_job job;
	size_t io_len; /* bytes of the read under way */
	/* ---- what a job may use while it runs */
	struct root *root;    /* borrowed */
	struct reader reader; /* get */
	bool digests;         /* get: with the stored digest */
	enum ftx_rc rc;
	struct local_put put[]; /* put: one, which a get is spared */
};

static inline struct local_transfer *
local_transfer_of(struct pool_job *job)
{
	return (struct local_transfer *)((char *)job - offsetof(struct local_transfer, job));
}

static inline struct local_transfer *
local_transfer_of_commit(struct commit *c)
{
	struct local_put *put =
	    (struct local_put *)((char *)c - offsetof(struct local_put, commit));

	return (struct local_transfer *)((char *)put - offsetof(struct local_transfer, put));
}

/* local.c */
void local_submit(struct local_transfer *lt, enum pool_lane lane, void (*run)(struct pool_job *),
    void (*done)(struct pool_job *));
void local_on_job_done(struct pool_job *job);
enum ftx_rc local_transfer_new(struct store *s, enum transfer_kind kind, const char *name,
    transfer_done_cb *on_done, void *owner, struct local_transfer **out) FTX_MUST_CHECK;

/* Whether stage and space go with the upload, not with this transfer. */
static inline bool
local_put_is_kept(const struct local_put *put)
{
	return put->claim != NULL && put->terms.keep;
}

/* local_put.c: as in struct store_ops. */
enum ftx_rc local_put(struct store *s, const struct put_spec *spec, transfer_done_cb *on_done,
    void *owner, struct transfer **out) FTX_MUST_CHECK;
void local_write(struct transfer *t);
void local_set_attrs(struct transfer *t, const struct put_spec *spec);
enum ftx_rc local_write_now(struct transfer *t, const void *p, size_t len) FTX_MUST_CHECK;
enum ftx_rc local_write_pipe(struct transfer *t, int pipe, size_t len) FTX_MUST_CHECK;
/* spec is the put's from here on. */
void local_put_set_spec(struct local_transfer *lt, const struct put_spec *spec);
/* What OPEN does. FTX_BUSY and put->again: the upload is another one's, who is to be waited for. */
enum ftx_rc local_put_open(struct local_transfer *lt) FTX_MUST_CHECK;
/* There is something that takes a job, which calls the next one. */
bool local_put_needs_discard(const struct local_transfer *lt);
void local_put_discard(struct local_transfer *lt);
/* The last step, on the worker. */
void local_put_clear(struct local_transfer *lt);

/* local_claim.c */
/* On any thread. FTX_BUSY: put->again. */
enum ftx_rc local_claim(struct local_transfer *lt) FTX_MUST_CHECK;
/* Then, on the worker: go_on() when the upload may be claimed, or has been. */
void local_wait_for_claim(struct local_transfer *lt, void (*go_on)(struct local_transfer *lt));
/* Of struct local_store. */
void local_look_for_claims(void *store);

/* local_reserve.c: as in struct store_ops. */
void local_reserve(struct transfer *t);
/*
 * Blocks. Why there is no room for so many bytes: unfinished content that is only kept makes room
 * for what is under way. False: there is none to be made.
 */
bool local_make_room(struct local_transfer *lt, enum ftx_rc why, uint64_t size);
/*
 * Blocks for a moment. A file system that has the room which a write of so many bytes did not find
 * may find it a little later: what it has set aside for others, who write at the same time, comes
 * back to it by and by (an ext2 without any to spare). *tries: 0 at first. False: it has none.
 */
bool local_finds_room(struct local_transfer *lt, enum ftx_rc why, uint64_t size, unsigned *tries);
/* Blocks. Gives back what is promised behind the content that is kept. False: there is none. */
bool local_put_park(struct local_put *put);

/* local_prefix.c: likewise. */
void local_prefix(struct transfer *t);
void local_mark(struct transfer *t, const struct digest *d, uint64_t at);
/* After a write: so that it can be told later whether the stage is still what we wrote. */
void local_put_note_version(const struct local_put *put);
/* Of a stage that was opened again: if somebody else has changed it, no mark of it holds. */
void local_put_check(const struct local_put *put);

/* local_commit.c: as in struct store_ops. */
void local_commit(struct transfer *t);
/*
 * Blocks as `wait` allows. All that is due before its commit: then it has entered its claim
 * (uploads_enter()), and is to be committed or to leave it. False: there is nothing to be
 * committed, or not here (put->moves, put->again); lt->rc says how it ended.
 */
bool local_bring_to_commit(struct local_transfer *lt, enum local_wait wait) FTX_MUST_CHECK;
/* Likewise. From what is due to the end, all together; lt->rc of each, as above. */
void local_commit_together(const struct pool_jobs *jobs, enum local_wait wait);
/* By a job, together with others if that is sound (struct commit) and they are small. */
void local_submit_commit(struct local_transfer *lt, bool sound, void (*done)(struct pool_job *));

/*
 * local_whole.c: within the claim; lt->rc. FTX_NO_SPACE where it may wait for nothing: a job may
 * find room.
 */
void local_write_content(struct local_transfer *lt, enum local_wait wait);
/* As in struct store_ops. */
enum ftx_rc local_put_whole(struct store *s, const struct put_spec *spec,
    struct put_content *content, transfer_done_cb *on_done, void *owner,
    struct transfer **out) FTX_MUST_CHECK;

/* local_now.c: as in struct store_ops. */
bool local_get_now(struct store *s, const char *name, void *p, size_t room, struct meta *m);

/* local_request.c: as in struct store_ops. */
enum ftx_rc local_request_new(struct store *s, enum request_op op, const struct request_spec *spec,
    request_done_cb *on_done, void *owner, struct store_request **out) FTX_MUST_CHECK;
void local_request_start(struct store_request *r);
void local_request_free(struct store_request *r);

#endif
