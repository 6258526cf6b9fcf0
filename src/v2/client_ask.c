/* Requests without content: one message out, one final result in. And PING, which is none. */
#include <string.h>

#include "v2/client_private.h"

enum { REQUEST_INIT, REQUEST_ASKING };

static const struct v2_request_state states[] = {
	[REQUEST_INIT] = { "request_init", V2_DOING_WAIT },
	[REQUEST_ASKING] = { "request_asking", V2_DOING_WAIT },
};

static enum ftx_rc send_request(struct v2_request *r, const struct v2_frame *f);
static enum ftx_rc take_ok(struct v2_request *r, const struct v2_frame *f);
static enum ftx_rc take_page(struct v2_request *r, const struct v2_frame *f);

static const struct v2_step steps[] = {
	/* state          event       action        next */
	{ REQUEST_INIT, V2_ON_TURN, send_request, REQUEST_ASKING },
	{ REQUEST_ASKING, V2_ON_OK, take_ok, V2_STAY },
	{ REQUEST_ASKING, V2_ON_PAGE, take_page, V2_STAY },
};

static enum digest_kind
kind_of(const struct v2_ask *ask)
{
	switch (ask->r.type) {
	case V2_STAT:
		return ask->asked.stat.digest_kind;
	case V2_LIST:
		return ask->asked.list.digest_kind;
	case V2_DIGEST:
		return ask->asked.sum.digest_kind;
	default:
		return DIGEST_NONE;
	}
}

static bool
ask_turn(struct v2_request *r)
{
	if (!v2_client_may_use(r, kind_of((struct v2_ask *)r)))
		return r->settled;
	v2_request_event(r, V2_ON_TURN, NULL);
	return true;
}

static bool
ask_let_go(struct v2_request *r)
{
	(void)r;
	return true;
}

const struct v2_request_ops v2_ask_ops = {
	.states = states,
	.steps = steps,
	.step_count = sizeof(steps) / sizeof(steps[0]),
	.turn = ask_turn,
	.let_go = ask_let_go,
	.give_up = v2_request_send_cancel,
};

static enum v2_message_id
message_of(uint8_t type)
{
	switch (type) {
	case V2_STAT:
		return V2_MESSAGE_stat;
	case V2_LIST:
		return V2_MESSAGE_list;
	case V2_MKDIR:
		return V2_MESSAGE_mkdir;
	case V2_RENAME:
		return V2_MESSAGE_rename;
	case V2_REMOVE:
		return V2_MESSAGE_remove;
	case V2_DIGEST:
		return V2_MESSAGE_digest;
	default:
		return V2_MESSAGE_ping;
	}
}

static enum ftx_rc
send_request(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_ask *ask = (struct v2_ask *)r;
	struct v2_client *c = r->client;
	uint8_t frame[V2_FRAME_ROOM];
	size_t len = v2_message_encode(
	    message_of(r->type), &ask->asked, r->flags, v2_client_next_id(c), frame, sizeof(frame));
	enum ftx_rc rc = v2_client_add_frame(c, frame, len);

	(void)f;
	if (rc == FTX_OK)
		v2_client_go_live(c, r);
	return rc;
}

/* A digest of a kind that was not asked for is not an answer. */
static bool
is_kind(const struct digest_value *v, uint8_t asked)
{
	return v->kind == DIGEST_NONE || asked == DIGEST_NONE || v->kind == asked;
}

static enum ftx_rc
decode_ok(struct v2_ask *ask, const struct v2_frame *f)
{
	const struct v2_terms *t = &ask->r.client->terms;
	struct v2_done done;
	struct v2_fault fault = { V2_REACH_CONNECTION, FTX_PROTOCOL };
	bool right = true;

	switch (ask->r.type) {
	case V2_STAT:
		fault = v2_stat_ok_decode(f, t, &ask->got.stat);
		right = fault.reach != V2_REACH_NONE ||
			is_kind(&ask->got.stat.digest, ask->asked.stat.digest_kind);
		break;
	case V2_MKDIR:
		fault = v2_mkdir_ok_decode(f, t, &done);
		break;
	case V2_RENAME:
		fault = v2_rename_ok_decode(f, t, &ask->got.rename);
		break;
	case V2_REMOVE:
		fault = v2_remove_ok_decode(f, t, &done);
		break;
	case V2_DIGEST:
		fault = v2_digest_ok_decode(f, t, &ask->got.sum);
		right = fault.reach != V2_REACH_NONE ||
			is_kind(&ask->got.sum.digest, ask->asked.sum.digest_kind == DIGEST_NONE
							  ? DIGEST_XXH128
							  : ask->asked.sum.digest_kind);
		break;
	default: /* a LIST has a PAGE */
		break;
	}
	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	return right ? FTX_OK : FTX_PROTOCOL;
}

static enum ftx_rc
take_ok(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_ask *ask = (struct v2_ask *)r;
	enum ftx_rc rc = decode_ok(ask, f);

	if (rc != FTX_OK)
		return rc;
	ask->ok_flags = f->flags;
	v2_request_succeed(r);
	return FTX_OK;
}

/* The name of an entry becomes that of a local file: exactly one component, which cannot climb. */
static bool
is_entry_name(struct v2_slice name)
{
	if (name.len == 0 || name.len > 255 || memchr(name.p, '/', name.len) != NULL ||
	    memchr(name.p, '\0', name.len) != NULL)
		return false;
	return name.p[0] != '.' || (name.len > 1 && (name.len > 2 || name.p[1] != '.'));
}

static enum ftx_rc
check_entries(struct v2_ask *ask, const struct v2_frame *f, bool *empty)
{
	const struct v2_terms *t = &ask->r.client->terms;
	struct cursor entries = cursor_init(f->payload, f->length);
	struct v2_entry e;

	*empty = true;
	while (v2_page_next(&entries, t, &e)) {
		*empty = false;
		if (!is_entry_name(e.name))
			return FTX_BAD_NAME;
		if (!is_kind(&e.digest, ask->asked.list.digest_kind))
			return FTX_PROTOCOL;
	}
	return FTX_OK;
}

static enum ftx_rc
take_page(struct v2_request *r, const struct v2_frame *f)
{
	struct v2_ask *ask = (struct v2_ask *)r;
	struct v2_fault fault;
	bool empty = true;
	enum ftx_rc rc;

	if (r->type != V2_LIST)
		return FTX_PROTOCOL;
	fault = v2_page_decode(f, &r->client->terms, &ask->got.list);
	rc = fault.reach == V2_REACH_NONE ? check_entries(ask, f, &empty) : fault.rc;
	if (rc != FTX_OK)
		return rc;
	ask->empty_pages = empty && V2_HAS(&ask->got.list, CURSOR) ? ask->empty_pages + 1 : 0;
	if (ask->empty_pages >= EMPTY_PAGES_MAX)
		return FTX_PROTOCOL;
	ask->entries = cursor_init(f->payload, f->length);
	v2_request_succeed(r);
	return FTX_OK;
}

/* It was decoded before, with the terms: now every kind of digest is right. */
bool
v2_ask_next_entry(struct v2_ask *ask, struct v2_entry *e)
{
	const struct v2_terms all = { 1U << DIGEST_XXH128 | 1U << DIGEST_SHA256, 0 };

	return v2_page_next(&ask->entries, &all, e);
}

/* --- What is asked --- */

static struct v2_slice
slice_of(const char *name)
{
	return (struct v2_slice){ (const uint8_t *)name, strlen(name) };
}

void
v2_client_stat(
    struct v2_client *c, struct v2_ask *ask, const char *name, enum digest_kind kind, uint8_t flags)
{
	ask->asked.stat = (struct v2_stat){
		.has = V2_BIT(NAME) | (kind != DIGEST_NONE ? V2_BIT(DIGEST_KIND) : 0),
		.name = slice_of(name),
		.digest_kind = (uint8_t)kind,
	};
	v2_client_submit(c, &ask->r, &v2_ask_ops, V2_STAT, flags);
}

void
v2_client_list(struct v2_client *c, struct v2_ask *ask, const char *name, struct v2_slice cursor,
    enum digest_kind kind, uint8_t flags)
{
	size_t len = cursor.len < sizeof(ask->cursor) ? cursor.len : sizeof(ask->cursor);
	uint64_t has = V2_BIT(NAME) | (kind != DIGEST_NONE ? V2_BIT(DIGEST_KIND) : 0);

	if (len > 0) {
		memmove(ask->cursor, cursor.p, len);
		has |= V2_BIT(CURSOR);
	} else
		ask->empty_pages = 0;
	ask->asked.list = (struct v2_list){
		.has = has,
		.name = slice_of(name),
		.cursor = { ask->cursor, len },
		.digest_kind = (uint8_t)kind,
	};
	v2_client_submit(c, &ask->r, &v2_ask_ops, V2_LIST, flags);
}

void
v2_client_mkdir(struct v2_client *c, struct v2_ask *ask, const char *name, int mode, uint8_t flags)
{
	ask->asked.mkdir = (struct v2_mkdir){
		.has = V2_BIT(NAME) | (mode >= 0 ? V2_BIT(MODE) : 0),
		.name = slice_of(name),
		.mode = (uint16_t)(mode >= 0 ? mode : 0),
	};
	v2_client_submit(c, &ask->r, &v2_ask_ops, V2_MKDIR, flags);
}

void
v2_client_rename(struct v2_client *c, struct v2_ask *ask, const char *name, const char *to,
    struct v2_slice if_version, uint8_t flags)
{
	ask->asked.rename = (struct v2_rename){
		.has = V2_BIT(NAME) | V2_BIT(TO) | (if_version.len > 0 ? V2_BIT(IF_VERSION) : 0),
		.name = slice_of(name),
		.to = slice_of(to),
		.if_version = if_version,
	};
	v2_client_submit(c, &ask->r, &v2_ask_ops, V2_RENAME, flags);
}

void
v2_client_remove(struct v2_client *c, struct v2_ask *ask, const char *name,
    struct v2_slice if_version, uint8_t flags)
{
	ask->asked.remove = (struct v2_remove){
		.has = V2_BIT(NAME) | (if_version.len > 0 ? V2_BIT(IF_VERSION) : 0),
		.name = slice_of(name),
		.if_version = if_version,
	};
	v2_client_submit(c, &ask->r, &v2_ask_ops, V2_REMOVE, flags);
}

void
v2_client_sum(struct v2_client *c, struct v2_ask *ask, const char *name, enum digest_kind kind,
    uint64_t offset, uint64_t length, uint8_t flags)
{
	ask->asked.sum = (struct v2_digest){
		.has = V2_BIT(NAME) | (kind != DIGEST_NONE ? V2_BIT(DIGEST_KIND) : 0) |
		       (offset > 0 ? V2_BIT(OFFSET) : 0) |
		       (length != UINT64_MAX ? V2_BIT(LENGTH) : 0),
		.name = slice_of(name),
		.offset = offset,
		.length = length != UINT64_MAX ? length : 0,
		.digest_kind = (uint8_t)kind,
	};
	v2_client_submit(c, &ask->r, &v2_ask_ops, V2_DIGEST, flags);
}

/* --- PING --- */

void
v2_client_ping(struct v2_client *c, struct v2_ask *ask)
{
	struct v2_request *r = &ask->r;
	uint8_t frame[V2_FRAME_ROOM];
	enum ftx_rc rc;

	ask->asked.ping = (struct v2_ping){ 0 };
	v2_client_submit(c, r, &v2_ask_ops, V2_PING, 0);
	if (r->settled)
		return;
	if (c->live == 0 && TAILQ_EMPTY(&c->pings))
		v2_client_heard(c);
	rc = v2_client_add_frame(
	    c, frame, v2_ping_encode(&ask->asked.ping, 0, 0, frame, sizeof(frame)));
	if (rc != FTX_OK) {
		v2_request_fail(r, rc, V2_WHOSE_LOCAL);
		return;
	}
	c->queued--;
	r->sent = true;
	v2_request_move(r, &c->pings);
}

enum ftx_rc
v2_client_take_pong(struct v2_client *c, const struct v2_frame *f)
{
	struct v2_ask *ask = (struct v2_ask *)TAILQ_FIRST(&c->pings);
	struct v2_ping m;
	struct v2_fault fault = v2_pong_decode(f, &c->terms, &m);

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	if (ask == NULL || V2_HAS(&m, TOKEN)) /* no PING of ours has one */
		return FTX_PROTOCOL;
	v2_request_succeed(&ask->r);
	return FTX_OK;
}
