/* Protocol 2, the server: a PUT whose content may stand there already. */
#include <string.h>
#include <time.h>

#include "v2/server_private.h"

/* It is what stands there, durable. */
static void
answer_same(struct v2s_request *r, const struct meta *found)
{
	struct timespec now = { 0 };
	struct v2_receipt m = {
		.has = V2_BIT(NAME) | V2_BIT(SIZE) | V2_BIT(DIGEST) | V2_BIT(FILE_VERSION) |
		       V2_BIT(TIME),
		.name = { (const uint8_t *)r->name, strlen(r->name) },
		.size = found->size,
		.digest = r->m.put.digest,
		.file_version = v2s_version(&found->version),
	};

	(void)clock_gettime(CLOCK_REALTIME, &now);
	m.time = v2s_time(&now);
	v2s_answer(
	    r, V2_MESSAGE_put_ok, &m, V2_OK_SAME | (r->c->server->in_memory ? V2_OK_UNSYNCED : 0));
}

static void
on_settled(void *owner, struct store_request *asked, enum ftx_rc rc)
{
	struct v2s_request *r = owner;
	struct v2s_conn *c = r->c;
	struct meta found = asked->meta;

	store_request_close(asked);
	r->asked = NULL;
	if (rc == FTX_OK)
		answer_same(r, &found);
	else if (rc == FTX_OTHER_VERSION || rc == FTX_NOT_FOUND)
		v2s_put_go_on(r); /* it was, and is no more */
	else
		v2s_refuse(r, rc);
	v2s_run(c);
}

/* With policy 4 it gets the attributes of the request, if the client might replace it as well. */
static void
settle_target(struct v2s_request *r, const struct meta *found)
{
	const struct v2_put *m = &r->m.put;
	struct request_spec spec = { .name = r->name, .if_version = found->version };

	if (m->policy == V2_REPLACE_OR_SAME && r->c->server->allow_replace)
		spec.attrs = (struct settle_attrs){
			.has_mode = V2_HAS(m, MODE),
			.mode = m->mode,
			.has_mtime = V2_HAS(m, MTIME),
			.mtime = { .tv_sec = m->mtime.sec, .tv_nsec = m->mtime.nsec },
			.digest = m->digest,
		};
	if (store_settle(r->c->server->store, &spec, on_settled, r, &r->asked) != FTX_OK)
		v2s_refuse(r, FTX_NOMEM);
}

static void
on_summed(void *owner, struct store_request *asked, enum ftx_rc rc)
{
	struct v2s_request *r = owner;
	struct v2s_conn *c = r->c;
	struct meta found = asked->meta;
	bool same = rc == FTX_OK && digest_equal(&asked->digest, &r->m.put.digest);

	store_request_close(asked);
	r->asked = NULL;
	if (same && r->if_version.len > 0 && !meta_same_version(&r->if_version, &found.version))
		v2s_refuse(r, FTX_OTHER_VERSION);
	else if (same)
		settle_target(r, &found);
	else
		v2s_put_go_on(
		    r); /* also where it could not be read: that is no reason not to store it */
	v2s_run(c);
}

static void
sum_target(struct v2s_request *r)
{
	const struct request_spec spec = {
		.name = r->name,
		.kind = r->m.put.digest.kind,
		.length = UINT64_MAX,
	};

	if (store_sum(r->c->server->store, &spec, on_summed, r, &r->asked) != FTX_OK)
		v2s_refuse(r, FTX_NOMEM);
}

static void
on_looked(void *owner, struct store_request *asked, enum ftx_rc rc)
{
	struct v2s_request *r = owner;
	struct v2s_conn *c = r->c;
	bool candidate =
	    rc == FTX_OK && asked->meta.kind == META_FILE && asked->meta.size == r->m.put.size;

	store_request_close(asked);
	r->asked = NULL;
	if (candidate)
		v2s_want_place(r, V2S_SUMS, sum_target);
	else
		v2s_put_go_on(r);
	v2s_run(c);
}

void
v2s_put_check_same(struct v2s_request *r)
{
	const struct request_spec spec = { .name = r->name };

	if (store_stat(r->c->server->store, &spec, on_looked, r, &r->asked) != FTX_OK)
		v2s_refuse(r, FTX_NOMEM);
}
