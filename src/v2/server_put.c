/* Protocol 2, the server: PUT. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/registry.h"
#include "net/conn.h"
#include "v2/server_private.h"

enum state { PUT_WAITING, PUT_CHECKING, PUT_RECEIVING, PUT_COMMITTING };
enum event {
	ON_START,
	ON_READY,    /* content may come */
	ON_CONTENT,  /* all of it is here, and right */
	ON_PUBLISHED /* and durable, under its name */
};

/* A file with NOW that is not larger is kept in memory until it is whole; and all such together. */
#define SMALL_MAX    ((uint64_t)64 * 1024)
#define BUFFERED_MAX ((size_t)1024 * 1024)
/* What a stream is promised at first, and at most in one step. A frame always fits. */
#define STREAM_FIRST ((uint64_t)2 * V2_DATA_MAX)
#define STREAM_STEP  ((uint64_t)64 * 1024 * 1024)

static const char *const states[] = {
	"put_waiting",
	"put_checking",
	"put_receiving",
	"put_committing",
};

static void check(struct v2s_request *r);
static void expect_content(struct v2s_request *r);
static void commit(struct v2s_request *r);
static void answer_receipt(struct v2s_request *r);

static const struct v2s_row rows[] = {
	{ PUT_WAITING, ON_START, check, PUT_CHECKING },
	{ PUT_CHECKING, ON_READY, expect_content, PUT_RECEIVING },
	{ PUT_RECEIVING, ON_CONTENT, commit, PUT_COMMITTING },
	{ PUT_COMMITTING, ON_PUBLISHED, answer_receipt, V2S_STAY },
};

static bool
has_now(const struct v2s_request *r)
{
	return (r->flags & V2_PUT_NOW) != 0;
}

/* Its size is not known before its end. */
static bool
is_stream(const struct v2s_request *r)
{
	return !V2_HAS(&r->m.put, SIZE);
}

static bool
is_small(const struct v2s_request *r)
{
	return has_now(r) && r->m.put.size <= SMALL_MAX;
}

static bool
may_be_same(const struct v2s_request *r)
{
	return r->m.put.policy == V2_CREATE_OR_SAME || r->m.put.policy == V2_REPLACE_OR_SAME;
}

static bool
may_replace(const struct v2s_request *r)
{
	return r->m.put.policy == V2_REPLACE || r->m.put.policy == V2_REPLACE_OR_SAME;
}

static enum ftx_rc
take(struct v2s_request *r, const struct v2_frame *f)
{
	uint64_t max = r->c->server->max_file_size;
	struct v2_fault fault = v2_put_decode(f, &r->c->terms, &r->m.put);
	enum ftx_rc rc;

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	rc = v2s_take_version(r->m.put.if_version, &r->if_version);
	if (rc == FTX_OK)
		rc = v2s_take_name(r, r->m.put.name, true, false, &r->name);
	if (rc == FTX_OK && max > 0 && r->m.put.size > max)
		rc = FTX_TOO_LARGE;
	return rc;
}

static void
start(struct v2s_request *r)
{
	v2s_event(r, ON_START);
}

static bool
cancel(struct v2s_request *r)
{
	return r->state != PUT_COMMITTING;
}

/* What the store has said, in the words of this request. */
static void
refuse(struct v2s_request *r, enum ftx_rc why)
{
	if (why == FTX_EXISTS && may_replace(r))
		why = FTX_FORBIDDEN; /* it was not even tried */
	if (why != FTX_NOT_REGULAR)
		v2s_refuse(r, why);
	else if (may_replace(r))
		v2s_refuse_kind(r);
	else
		v2s_refuse(r, FTX_EXISTS);
}

static struct put_spec
make_spec(const struct v2s_request *r)
{
	const struct v2_put *m = &r->m.put;

	return (struct put_spec){
		.name = r->name,
		.policy = may_replace(r) && r->c->server->allow_replace ? PUT_REPLACE : PUT_CREATE,
		.parents = (r->flags & V2_PUT_PARENTS) != 0,
		.has_mode = V2_HAS(m, MODE),
		.mode = m->mode,
		.has_mtime = V2_HAS(m, MTIME),
		.mtime = { .tv_sec = m->mtime.sec, .tv_nsec = m->mtime.nsec },
		.if_version = r->if_version,
	};
}

/* A stream always has room for one more frame before that is read. */
static void
grow(struct v2s_request *r)
{
	struct transfer *t = r->transfer;

	if (!is_stream(r) || r->answered || r->ended)
		return;
	r->needs_room |= t->size - r->received < V2_DATA_MAX;
	if (r->needs_room && t->op == TRANSFER_IDLE)
		store_reserve(t, t->size + (t->size < STREAM_STEP ? t->size : STREAM_STEP));
}

static void
on_grown(struct v2s_request *r)
{
	r->needs_room = false;
	if (r->c->receiver == r)
		pump_set_total(&r->c->receive, r->transfer->size);
}

static void
on_finished(void *arg)
{
	struct v2s_request *r = arg;
	struct v2s_conn *c = r->c;

	if (c->receiving == r) { /* a frame */
		c->receiving = NULL;
		if (r->digest_rc != FTX_OK)
			v2s_refuse(r, r->digest_rc);
		else
			grow(r);
	} else { /* all that was received is written */
		c->receiver = NULL;
		v2s_event(r, ON_CONTENT);
	}
	v2s_run(c);
}

static void
on_failed(void *arg, enum ftx_rc why)
{
	struct v2s_request *r = arg;
	struct v2s_conn *c = r->c;

	if (c->receive.failed_here)
		v2s_refuse(r, why);
	else
		conn_close(c->conn, why);
	v2s_run(c);
}

static void
on_bytes(void *arg, const void *p, size_t len)
{
	struct v2s_request *r = arg;

	if (r->digest_rc == FTX_OK)
		r->digest_rc = digest_update(&r->digest, p, len);
}

static void
on_opened(struct v2s_request *r, enum ftx_rc rc)
{
	if (rc != FTX_OK)
		refuse(r, rc);
	else if (is_stream(r))
		store_reserve(r->transfer, STREAM_FIRST);
	else if (r->m.put.size == 0)
		v2s_event(r, ON_READY);
	else
		store_reserve(r->transfer, r->m.put.size);
}

static void
on_store_done(void *owner, struct transfer *t, enum transfer_op op, enum ftx_rc rc)
{
	struct v2s_request *r = owner;
	struct v2s_conn *c = r->c;

	(void)t;
	switch (op) {
	case TRANSFER_OPEN:
		on_opened(r, rc);
		break;
	case TRANSFER_WRITE:
		pump_on_io(&c->receive, rc);
		if (r->needs_room)
			grow(r);
		break;
	case TRANSFER_COMMIT:
		if (rc == FTX_OK)
			v2s_event(r, ON_PUBLISHED);
		else
			refuse(r, rc);
		break;
	case TRANSFER_RESERVE:
	default:
		if (rc != FTX_OK)
			refuse(r, rc);
		else if (r->state == PUT_RECEIVING)
			on_grown(r);
		else
			v2s_event(r, ON_READY);
		break;
	}
	v2s_run(c);
}

/* The name is this request's from here on, as long as its transfer is there. */
static enum ftx_rc
begin_transfer(struct v2s_request *r)
{
	const struct put_spec spec = make_spec(r);
	struct store *s = r->c->server->store;
	struct registry_claim *claim;
	enum ftx_rc rc = registry_claim(r->c->server->registry, r->name, REGISTRY_UPLOAD, &claim);

	if (rc != FTX_OK)
		return rc;
	if (is_small(r)) {
		rc = store_put_whole(
		    s, &spec, r->content, r->content_len, &r->sum, on_store_done, r, &r->transfer);
		if (rc == FTX_OK) {
			conn_add_content(r->c->conn, r->content_len);
			r->content = NULL;
		}
	} else
		rc = store_put(s, &spec, on_store_done, r, &r->transfer);
	if (rc == FTX_OK)
		transfer_set_claim(r->transfer, claim, registry_release);
	else
		registry_release(claim);
	return rc;
}

static void
open_stage(struct v2s_request *r)
{
	enum ftx_rc rc = digest_init(&r->digest, (enum digest_kind)r->m.put.digest_kind);

	if (rc == FTX_OK)
		rc = begin_transfer(r);
	if (rc != FTX_OK)
		v2s_refuse(r, rc);
}

/* Nobody has that content under the name: it is to be sent. */
void
v2s_put_go_on(struct v2s_request *r)
{
	v2s_leave_place(r);
	if (is_small(r))
		v2s_event(r, ON_READY);
	else
		v2s_want_place(r, has_now(r) ? V2S_NOW : V2S_HEADS, open_stage);
}

static void
check(struct v2s_request *r)
{
	if (may_be_same(r))
		v2s_put_check_same(r);
	else
		v2s_put_go_on(r);
}

static void settle_end(struct v2s_request *r);

static void
expect_content(struct v2s_request *r)
{
	static const struct v2_offset go = { .has = V2_BIT(OFFSET) };

	if (!has_now(r)) {
		r->owes_end = true;
		v2s_send(r->c, V2_MESSAGE_go, &go, 0, r->id);
	}
	if (r->ended)
		settle_end(r); /* it had come before we were ready, as that of a small file may */
}

bool
v2s_put_takes(const struct v2s_request *r)
{
	const struct v2s_conn *c = r->c;

	if (is_small(r))
		return r->content != NULL || c->buffered == 0 ||
		       c->buffered + r->m.put.size <= BUFFERED_MAX;
	return r->state == PUT_RECEIVING && !r->needs_room &&
	       (c->receiver == NULL || c->receiver == r);
}

bool
v2s_put_waits_for_client(const struct v2s_request *r)
{
	return r->type == V2_PUT && !r->answered && r->owes_end && r->state == PUT_RECEIVING;
}

enum ftx_rc
v2s_put_expects(const struct v2s_request *r, uint64_t length)
{
	uint64_t max = r->c->server->max_file_size;

	if (is_stream(r))
		return max > 0 && length > max - r->received ? FTX_TOO_LARGE : FTX_OK;
	return length <= r->m.put.size - r->received ? FTX_OK : FTX_SIZE_MISMATCH;
}

/* The frame is copied into memory, from the input or by and by. */
static void
buffer_content(struct v2s_request *r, uint32_t length)
{
	struct v2s_conn *c = r->c;

	if (r->content == NULL) {
		r->content = malloc((size_t)r->m.put.size);
		if (r->content == NULL) {
			v2s_refuse(r, FTX_NOMEM);
			c->skip = length;
			return;
		}
		r->buffered = (size_t)r->m.put.size;
		c->buffered += r->buffered;
	}
	c->filling = r;
	c->skip = length;
}

void
v2s_put_receive(struct v2s_request *r, uint32_t length)
{
	struct v2s_conn *c = r->c;

	r->received += length;
	if (is_small(r)) {
		buffer_content(r, length);
		return;
	}
	c->receiving = r;
	if (c->receiver == r) {
		pump_next(&c->receive, length);
		return;
	}
	c->receiver = r;
	pump_receive(&c->receive, &(struct pump_ends){
				      .conn = c->conn,
				      .transfer = r->transfer,
				      .on_end = on_finished,
				      .length = length,
				      .on_bytes = on_bytes,
				      .way = c->server->receive_way,
				      .fail = on_failed,
				      .arg = r,
				  });
}

/* Whether the content is what its END says: FTX_OK. */
static enum ftx_rc
judge(struct v2s_request *r)
{
	const struct v2_put *put = &r->m.put;
	const struct v2_end *end = &r->put_end;

	if (end->digest.kind != put->digest_kind || (is_stream(r) && !V2_HAS(end, SIZE)))
		return FTX_BAD_MESSAGE;
	if ((!is_stream(r) && r->received != put->size) ||
	    (V2_HAS(end, SIZE) && end->size != r->received))
		return FTX_SIZE_MISMATCH;
	if (!digest_equal(&r->sum, &end->digest) ||
	    (V2_HAS(put, DIGEST) && !digest_equal(&r->sum, &put->digest)))
		return FTX_DIGEST_MISMATCH;
	return FTX_OK;
}

static void
settle_end(struct v2s_request *r)
{
	struct v2s_conn *c = r->c;
	enum ftx_rc rc = r->digest_rc;

	if (rc == FTX_OK && is_small(r))
		rc = digest_of(
		    (enum digest_kind)r->m.put.digest_kind, r->content, r->content_len, &r->sum);
	else if (rc == FTX_OK)
		rc = digest_final(&r->digest, &r->sum);
	if (rc == FTX_OK)
		rc = judge(r);
	if (rc != FTX_OK)
		v2s_refuse(r, rc);
	else if (c->receiver == r)
		pump_finish(&c->receive);
	else
		v2s_event(r, ON_CONTENT);
}

void
v2s_put_end(struct v2s_request *r, const struct v2_frame *f)
{
	struct v2_fault fault = v2_put_end_decode(f, &r->c->terms, &r->put_end);

	v2s_content_ended(r);
	r->ended = true;
	if (fault.reach != V2_REACH_NONE)
		v2s_refuse(r, fault.rc);
	else if ((f->flags & V2_END_ABORT) != 0)
		v2s_refuse(r, FTX_CANCELLED);
	else if (r->state == PUT_RECEIVING)
		settle_end(r);
}

static void
commit_whole(struct v2s_request *r)
{
	enum ftx_rc rc = begin_transfer(r);

	if (rc != FTX_OK)
		v2s_refuse(r, rc);
}

static void
commit(struct v2s_request *r)
{
	if (is_small(r)) {
		v2s_want_place(r, V2S_NOW, commit_whole);
		return;
	}
	if (is_stream(r))
		store_end_here(r->transfer);
	store_set_digest(r->transfer, &r->sum);
	store_commit(r->transfer);
}

static void
answer_receipt(struct v2s_request *r)
{
	const struct transfer *t = r->transfer;
	struct timespec now = { 0 };
	struct v2_receipt m = {
		.has = V2_BIT(NAME) | V2_BIT(SIZE) | V2_BIT(DIGEST) | V2_BIT(FILE_VERSION) |
		       V2_BIT(TIME),
		.name = { (const uint8_t *)r->name, strlen(r->name) },
		.size = t->size,
		.digest = r->sum,
		.file_version = v2s_version(&t->meta.version),
	};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	m.time = v2s_time(&now);
	v2s_answer(r, V2_MESSAGE_put_ok, &m, t->in_memory ? V2_OK_UNSYNCED : 0);
}

const struct v2s_kind v2s_put_kind = { states, rows, sizeof(rows) / sizeof(rows[0]), take, start,
	cancel };
