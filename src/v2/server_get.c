/* Protocol 2, the server: GET, until its content may be sent (server_send.c). */
#include "loop/chunk.h"
#include "v2/server_private.h"

enum state { GET_WAITING, GET_OPENING, GET_COMPARING, GET_QUEUED, GET_SENDING };
enum event {
	ON_START,
	ON_FOUND,    /* FILE was sent, with OFFSET */
	ON_COMPARE,  /* or with PREFIX */
	ON_COMPARED, /* GO was sent */
	ON_TURN      /* no other content is under way */
};

static const char *const states[] = {
	"get_waiting",
	"get_opening",
	"get_comparing",
	"get_queued",
	"get_sending",
};

static void open_file(struct v2s_request *r);
static void begin_compare(struct v2s_request *r);
static void enqueue(struct v2s_request *r);

static const struct v2s_row rows[] = {
	{ GET_WAITING, ON_START, open_file, GET_OPENING },
	{ GET_OPENING, ON_FOUND, enqueue, GET_QUEUED },
	{ GET_OPENING, ON_COMPARE, begin_compare, GET_COMPARING },
	{ GET_COMPARING, ON_COMPARED, enqueue, GET_QUEUED },
	{ GET_QUEUED, ON_TURN, NULL, GET_SENDING },
};

static enum ftx_rc
take(struct v2s_request *r, const struct v2_frame *f)
{
	struct v2_fault fault = v2_get_decode(f, &r->c->terms, &r->m.get);
	enum ftx_rc rc;

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	rc = v2s_take_version(r->m.get.if_version, &r->if_version);
	if (rc == FTX_OK)
		rc = v2s_take_version(r->m.get.file_version, &r->has_version);
	if (rc == FTX_OK)
		rc = v2s_take_name(r, r->m.get.name, false, false, &r->name);
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
	(void)r;
	return true;
}

bool
v2s_get_waits_for_client(const struct v2s_request *r)
{
	return r->type == V2_GET && !r->answered && r->kind != NULL && V2_HAS(&r->m.get, RESUME) &&
	       (r->state <= GET_OPENING || r->prefix_due);
}

/* Where the content begins. False: that is to be found out by PREFIX. */
static bool
find_offset(const struct v2s_request *r, uint64_t *offset)
{
	const struct meta *file = &r->transfer->meta;
	const struct v2_get *m = &r->m.get;

	*offset = m->offset;
	if (!V2_HAS(m, RESUME))
		return true;
	if (m->resume <= file->size && (meta_same_version(&r->has_version, &file->version) ||
					   digest_equal(&m->digest, &file->digest))) {
		*offset = m->resume;
		return true;
	}
	*offset = 0;
	return m->resume == 0 || m->resume > file->size ||
	       (V2_HAS(m, DIGEST) && file->digest.kind == m->digest.kind);
}

static void
set_range(struct v2s_request *r, uint64_t from)
{
	const struct v2_get *m = &r->m.get;
	uint64_t size = r->transfer->size;

	r->from = from;
	r->end = V2_HAS(m, LENGTH) && m->length < size - from ? from + m->length : size;
	store_set_range(r->transfer, r->from, r->end);
}

static struct v2_file
make_file(struct v2s_request *r, const struct meta *meta)
{
	struct v2_file m = {
		.has = V2_BIT(SIZE) | V2_BIT(MTIME) | V2_BIT(MODE) | V2_BIT(FILE_VERSION),
		.size = meta->size,
		.mtime = v2s_time(&meta->mtime),
		.mode = (uint16_t)meta->mode,
		.file_version = v2s_version(&meta->version),
		.digest = meta->digest,
	};

	r->stored = meta->digest.kind != DIGEST_NONE && meta->digest.kind == r->m.get.digest_kind;
	if (r->stored)
		m.has |= V2_BIT(DIGEST);
	return m;
}

static void
announce(struct v2s_request *r)
{
	struct v2_file m = make_file(r, &r->transfer->meta);
	bool known = find_offset(r, &m.offset);

	if (known) {
		m.has |= V2_BIT(OFFSET);
		set_range(r, m.offset);
	}
	v2s_send(r->c, V2_MESSAGE_file, &m, known ? 0 : V2_FILE_PREFIX, r->id);
	v2s_event(r, known ? ON_FOUND : ON_COMPARE);
}

static void
on_opened(struct v2s_request *r, enum ftx_rc rc)
{
	if (rc == FTX_NOT_REGULAR) {
		v2s_refuse_kind(r);
		return;
	}
	if (rc == FTX_NO_PARENT)
		rc = FTX_NOT_FOUND;
	else if (rc == FTX_OK && r->if_version.len > 0 &&
		 !meta_same_version(&r->if_version, &r->transfer->meta.version))
		rc = FTX_OTHER_VERSION;
	else if (rc == FTX_OK && r->m.get.offset > r->transfer->size)
		rc = FTX_BAD_RANGE;
	if (rc != FTX_OK)
		v2s_refuse(r, rc);
	else
		announce(r);
}

static void
on_store_done(void *owner, struct transfer *t, enum transfer_op op, enum ftx_rc rc)
{
	struct v2s_request *r = owner;
	struct v2s_conn *c = r->c;

	(void)t;
	if (op == TRANSFER_READ)
		pump_on_io(&c->send, rc);
	else
		on_opened(r, rc);
	v2s_run(c);
}

/* All of it is wanted, and nothing but its version can be wrong with it. */
static bool
is_simple(const struct v2s_request *r)
{
	const struct v2_get *m = &r->m.get;

	return !V2_HAS(m, OFFSET) && !V2_HAS(m, LENGTH) && !V2_HAS(m, RESUME) &&
	       r->if_version.len == 0 && m->digest_kind == DIGEST_XXH128;
}

/* A small file that is at hand: its FILE, its content and its END go out together. */
static bool
send_now(struct v2s_request *r)
{
	struct chunk_cache *chunks = worker_chunks(r->c->worker);
	struct v2s_conn *c = r->c;
	struct chunk *chunk;
	struct v2_file m;
	struct meta meta;
	bool found;

	if (!is_simple(r) || !v2s_may_send_now(c))
		return false;
	chunk = chunk_get(chunks);
	if (chunk == NULL)
		return false;
	found = store_get_now(c->server->store, r->name, chunk->data, V2S_SMALL_MAX, &meta);
	if (found) {
		m = make_file(r, &meta);
		m.has |= V2_BIT(OFFSET);
		v2s_send(c, V2_MESSAGE_file, &m, 0, r->id);
		v2s_send_whole(r, chunk->data, (size_t)meta.size);
	}
	chunk_put(chunks, chunk);
	return found;
}

static void
open_now(struct v2s_request *r)
{
	enum ftx_rc rc;

	if (send_now(r) || r->c->closed)
		return;
	rc = store_get_digest(r->c->server->store, r->name, on_store_done, r, &r->transfer);

	if (rc != FTX_OK)
		v2s_refuse(r, rc);
	else
		v2s_lend_share(r);
}

static void
open_file(struct v2s_request *r)
{
	v2s_want_place(r, V2S_GETS, open_now);
}

/* Both sides have made the digest of what the client has, or there is none to make. */
static void
compare(struct v2s_request *r)
{
	struct v2_offset go = { .has = V2_BIT(OFFSET) };

	if (r->prefix_due || r->asked != NULL)
		return;
	if (digest_equal(&r->prefix, &r->sum))
		go.offset = r->m.get.resume;
	set_range(r, go.offset);
	v2s_send(r->c, V2_MESSAGE_go, &go, 0, r->id);
	v2s_event(r, ON_COMPARED);
}

static void
on_summed(void *owner, struct store_request *asked, enum ftx_rc rc)
{
	struct v2s_request *r = owner;
	struct v2s_conn *c = r->c;

	/* By then the name may have been given to another file. */
	if (rc == FTX_OK && meta_same_version(&asked->meta.version, &r->transfer->meta.version))
		r->sum = asked->digest;
	store_request_close(asked);
	r->asked = NULL;
	compare(r);
	v2s_run(c);
}

static void
begin_compare(struct v2s_request *r)
{
	const struct request_spec spec = {
		.name = r->name,
		.kind = (enum digest_kind)r->m.get.digest_kind,
		.length = r->m.get.resume,
	};
	enum ftx_rc rc;

	v2s_want_prefix(r, spec.length, spec.kind);
	rc = store_sum(r->c->server->store, &spec, on_summed, r, &r->asked);
	if (rc != FTX_OK)
		v2s_refuse(r, rc);
}

void
v2s_get_prefixed(struct v2s_request *r)
{
	if (r->prefix.kind == DIGEST_NONE) {
		store_request_close(r->asked); /* there is nothing to compare with */
		r->asked = NULL;
	}
	compare(r);
}

static void
enqueue(struct v2s_request *r)
{
	r->queued = true;
	TAILQ_INSERT_TAIL(&r->c->to_send, r, waiting);
	r->c->again = true;
}

void
v2s_get_turn(struct v2s_request *r)
{
	v2s_event(r, ON_TURN);
}

const struct v2s_kind v2s_get_kind = { states, rows, sizeof(rows) / sizeof(rows[0]), take, start,
	cancel };
