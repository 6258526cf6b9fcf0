/* Protocol 2, the server: what comes from the client, frame by frame. */
#include <string.h>

#include "net/conn.h"
#include "v2/server_private.h"

/* Content that is thrown away after a final result. */
#define DISCARD_MAX ((uint64_t)64 * 1024 * 1024)

#define MAX_DATA V2_DATA_MAX
#define MAX_NOW  V2_DATA_MAX

#define OUR_FEATURES ((uint64_t)V2_FEATURE_PROGRESS)

static const uint8_t our_digests[] = { DIGEST_XXH128, DIGEST_SHA256 };

static void
take_hello(struct v2s_conn *c, const struct v2_frame *f)
{
	struct v2_hello theirs, ours = {
		.has = V2_BIT(PROTOCOL_VERSION) | V2_BIT(DIGESTS) | V2_BIT(MAX_DATA) |
		       V2_BIT(MAX_REQUESTS) | V2_BIT(MAX_NOW) | V2_BIT(TIME),
		.version = V2_VERSION,
		.digests = { our_digests, sizeof(our_digests) },
		.max_data = MAX_DATA,
		.max_requests = c->server->max_requests,
		.max_now = MAX_NOW,
		.time = v2s_clock(),
	};
	struct v2_fault fault = v2_client_hello_decode(f, NULL, &theirs);

	if (fault.reach != V2_REACH_NONE) {
		v2s_enter(c, V2S_OPEN); /* it is told why */
		v2s_fail(c, fault.rc, 0);
		return;
	}
	if (c->server->max_file_size > 0) {
		ours.has |= V2_BIT(MAX_FILE);
		ours.max_file = c->server->max_file_size;
	}
	if (c->server->agent != NULL) {
		ours.has |= V2_BIT(AGENT);
		ours.agent.p = (const uint8_t *)c->server->agent;
		ours.agent.len = strlen(c->server->agent);
	}
	c->features = V2_HAS(&theirs, FEATURES) ? theirs.features & OUR_FEATURES : 0;
	if (c->features != 0) {
		ours.has |= V2_BIT(FEATURES);
		ours.features = c->features;
	}
	c->max_data = theirs.max_data;
	c->terms.kinds = v2_digest_kinds(theirs.digests) & v2_digest_kinds(ours.digests);
	c->terms.max_now = MAX_NOW;
	v2s_send(c, V2_MESSAGE_server_hello, &ours, 0, 0);
	v2s_enter(c, V2S_OPEN);
}

static void
take_ping(struct v2s_conn *c, const struct v2_frame *f)
{
	struct v2_ping ping;
	struct v2_fault fault = v2_ping_decode(f, &c->terms, &ping);

	if (fault.reach != V2_REACH_NONE)
		v2s_fail(c, fault.rc, 0);
	else
		v2s_send(c, V2_MESSAGE_pong, &ping, 0, 0);
}

/* What is wrong with a request before it is even looked into; FTX_OK: nothing. */
static enum ftx_rc
judge_request(const struct v2s_conn *c, const struct v2_frame *f, const struct v2_fault *fault)
{
	if (fault->reach != V2_REACH_NONE)
		return fault->rc;
	if (c->live > c->server->max_requests)
		return FTX_TOO_MANY; /* it is counted itself */
	if (c->state == V2S_DRAINING)
		return FTX_SHUTDOWN;
	if (f->type == V2_PUT && (f->flags & V2_PUT_NOW) == 0 && c->heads > V2_HEADS_MAX)
		return FTX_TOO_MANY;
	return FTX_OK;
}

static const struct v2s_kind *
kind_of(uint8_t type)
{
	switch (type) {
	case V2_PUT:
		return &v2s_put_kind;
	case V2_GET:
		return &v2s_get_kind;
	case V2_STAT:
		return &v2s_stat_kind;
	case V2_LIST:
		return &v2s_list_kind;
	case V2_MKDIR:
		return &v2s_mkdir_kind;
	case V2_RENAME:
		return &v2s_rename_kind;
	case V2_REMOVE:
		return &v2s_remove_kind;
	case V2_DIGEST:
		return &v2s_digest_kind;
	default:
		return NULL; /* AUTH */
	}
}

static void
take_request(struct v2s_conn *c, const struct v2_frame *f, const struct v2_fault *fault)
{
	bool now = v2_is_put_now(f->type, f->flags);
	struct v2s_request *r;
	enum ftx_rc rc;

	if (v2s_find(c, f->id) != NULL) {
		v2s_fail(c, FTX_ID_IN_USE, f->id);
		return;
	}
	if (now && c->content_id != 0) {
		v2s_fail(c, FTX_PROTOCOL, f->id);
		return;
	}
	r = v2s_request_new(c, f);
	if (r == NULL) {
		conn_close(c->conn, FTX_NOMEM);
		return;
	}
	if (now) {
		c->content_id = f->id;
		c->content_short = false;
		v2s_content_is_due(r);
		r->owes_end = true;
		if (v2s_stands_in_the_way(r)) {
			v2s_fail(c, FTX_PROTOCOL, f->id);
			return;
		}
	}
	if (f->type == V2_AUTH) {
		r->refusal = FTX_NOT_OFFERED; /* in its turn */
		return;
	}
	rc = judge_request(c, f, fault);
	if (rc == FTX_OK) {
		r->kind = kind_of(f->type);
		rc = r->kind != NULL ? r->kind->take(r, f) : FTX_NOT_OFFERED;
	}
	if (rc != FTX_OK)
		v2s_refuse(r, rc);
}

static enum ftx_rc
judge_prefix(struct v2s_request *r, const struct v2_frame *f)
{
	struct v2_prefix m;
	struct v2_fault fault = v2_prefix_decode(f, &r->c->terms, &m);

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	if (m.offset != r->prefix_len || (V2_HAS(&m, DIGEST) && m.digest.kind != r->prefix_kind))
		return FTX_BAD_MESSAGE;
	r->prefix = m.digest;
	return FTX_OK;
}

static void
take_prefix(struct v2s_conn *c, const struct v2_frame *f)
{
	struct v2s_request *r = v2s_find(c, f->id);
	enum ftx_rc rc;

	if (r == NULL || r->answered)
		return; /* the final result may have crossed it */
	if (!r->prefix_due) {
		v2s_fail(c, FTX_PROTOCOL, f->id);
		return;
	}
	r->prefix_due = false;
	rc = judge_prefix(r, f);
	if (rc != FTX_OK)
		v2s_refuse(r, rc);
	else if (r->type == V2_PUT)
		v2s_put_prefixed(r);
	else
		v2s_get_prefixed(r);
}

/* DATA or END: whose it is. NULL: it is nobody's, and the connection's end. */
static struct v2s_request *
owner_of_content(struct v2s_conn *c, const struct v2_frame *f)
{
	struct v2s_request *r = v2s_find(c, f->id);

	if (r == NULL || !r->owes_end || (c->content_id != 0 && c->content_id != f->id)) {
		v2s_fail(c, FTX_PROTOCOL, f->id);
		return NULL;
	}
	return r;
}

/* False: it has to wait. */
static bool
take_end(struct v2s_conn *c, const struct v2_frame *f)
{
	struct v2s_request *r = owner_of_content(c, f);

	if (r == NULL)
		return true;
	if (!r->answered && !v2s_put_takes(r))
		return false;
	c->content_id = 0;
	c->content_short = false;
	c->announced += V2_HEADER_SIZE + f->length;
	c->content_at = worker_now(c->worker);
	if (r->answered)
		v2s_content_ended(r);
	else
		v2s_put_end(r, f);
	return true;
}

/* The header of DATA. False: it has to wait. */
static bool
take_data(struct v2s_conn *c, const struct v2_frame *f)
{
	struct v2s_request *r = owner_of_content(c, f);
	enum ftx_rc rc;

	if (r == NULL)
		return true;
	if (c->content_id == f->id && c->content_short) {
		v2s_fail(c, FTX_PROTOCOL, f->id);
		return true;
	}
	if (!r->answered && !v2s_put_takes(r))
		return false;
	c->content_id = f->id;
	c->content_short = f->length % V2_BLOCK != 0;
	c->announced += f->length;
	if (f->length > 0)
		c->content_at = worker_now(c->worker);
	conn_skip(c->conn, V2_HEADER_SIZE);
	if (!r->answered) {
		rc = v2s_put_expects(r, f->length);
		if (rc == FTX_OK) {
			v2s_put_receive(r, f->length);
			return true;
		}
		v2s_refuse(r, rc);
	}
	c->skip = f->length;
	r->discarded += f->length;
	if (r->discarded > DISCARD_MAX)
		v2s_fail(c, FTX_TOO_MUCH, f->id);
	return true;
}

/* False: it has to wait. */
static bool
take_message(struct v2s_conn *c, const struct v2_frame *f, const struct v2_fault *fault)
{
	if (f->type == V2_HELLO)
		take_hello(c, f);
	else if (f->type == V2_PING)
		take_ping(c, f);
	else if (f->type == V2_CANCEL && fault->reach == V2_REACH_NONE)
		v2s_cancel(c, f);
	else if (v2_type_is_request(f->type))
		take_request(c, f, fault);
	else if (f->type == V2_PREFIX)
		take_prefix(c, f);
	else
		return take_end(c, f); /* there is nothing else that a client sends */
	return true;
}

static void
skip_content(struct v2s_conn *c)
{
	size_t have = conn_input_length(c->conn);
	size_t n = c->skip < have ? (size_t)c->skip : have;
	struct v2s_request *r = c->filling;

	if (r != NULL) {
		(void)conn_peek(c->conn, r->content.p + r->content.len, n);
		r->content.len += n;
	}
	if (n == c->skip)
		c->filling = NULL;
	conn_skip(c->conn, n);
	c->skip -= n;
}

/* False: there is nothing that can be done now. */
static bool
take_frame(struct v2s_conn *c)
{
	const struct v2_gate gate = { V2_CLIENT, c->state > V2S_OPENING_HELLO, MAX_DATA };
	struct v2_fault fault;
	struct v2_frame f;
	size_t len, size;
	const uint8_t *input;

	if (c->skip > 0) {
		skip_content(c);
		return c->skip == 0;
	}
	len = conn_input_length(c->conn);
	input = conn_input(c->conn);
	if (len == 0)
		return false;
	switch (v2_frame_next(input, len, &gate, &f, &size, &fault)) {
	case V2_NEXT_MESSAGE:
		c->blocked = !take_message(c, &f, &fault);
		if (!c->blocked && !c->closed)
			conn_skip(c->conn, size);
		return !c->blocked;
	case V2_NEXT_DATA:
		c->blocked = !take_data(c, &f);
		return !c->blocked;
	case V2_NEXT_FAULT:
		v2s_fail(c, fault.rc, f.id);
		return false;
	case V2_NEXT_MORE:
	default:
		return false;
	}
}

static void
take_preface(struct v2s_conn *c)
{
	uint8_t preface[V2_PREFACE_SIZE];
	size_t len = conn_input_length(c->conn);
	const uint8_t *input = conn_input(c->conn);

	if (len == 0)
		return;
	if (!v2_preface_begins(input, len < sizeof(preface) ? len : sizeof(preface))) {
		conn_close(c->conn, FTX_PROTOCOL);
		return;
	}
	if (len < sizeof(preface))
		return;
	conn_skip(c->conn, sizeof(preface));
	v2_preface_encode(preface);
	v2s_send_bytes(c, preface, sizeof(preface));
	v2s_enter(c, V2S_OPENING_HELLO);
}

static bool
may_read(struct v2s_conn *c)
{
	if (c->closed || c->state == V2S_CLOSING || c->receiving != NULL ||
	    c->frames >= V2S_TURN_FRAMES)
		return false;
	c->stalled = v2s_is_stalled(c);
	return !c->stalled;
}

/* While large content comes, what is read with its next header would be copied once more. */
static void
choose_input(struct v2s_conn *c)
{
	size_t have = conn_input_length(c->conn);

	conn_set_header(
	    c->conn, c->receiver != NULL && have < V2_HEADER_SIZE ? V2_HEADER_SIZE - have : 0);
}

static void
take_frames(struct v2s_conn *c)
{
	c->blocked = false;
	while (may_read(c) && take_frame(c)) {
		v2s_count_frame(c);
		v2s_start_ready(c);
	}
}

void
v2s_read_frames(struct v2s_conn *c)
{
	if (c->state == V2S_OPENING_PREFACE)
		take_preface(c);
	if (c->state == V2S_OPENING_PREFACE)
		return;
	take_frames(c);
	if (!c->closed)
		choose_input(c);
}
