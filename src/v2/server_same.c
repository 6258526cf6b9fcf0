/* Protocol 2, the server: a PUT whose content may stand there already. */
#include "v2/server_put.h"

static void
on_settled(void *owner, struct store_request *asked, enum ftx_rc rc)
{
	struct v2s_request *r = owner;
	struct v2s_conn *c = r->c;
	struct meta found = asked->meta;
	bool unsynced = asked->unsynced;

	store_request_close(asked);
	r->asked = NULL;
	if (rc == FTX_OK)
		v2s_put_answer_same(r, &found, unsynced);
	else if (rc == FTX_OTHER_VERSION || rc == FTX_NOT_FOUND)
		v2s_put_go_on(r); /* it was, and is no more */
	else
		v2s_refuse(r, rc);
	v2s_run(c);
}

/* With policy 4 it gets the attributes of the request, if the client might replace it as well. */
void
v2s_put_settle_same(struct v2s_request *r)
{
	const struct v2_put *m = &r->m.put;
	struct request_spec spec = { .name = r->name, .if_version = r->has_version };

	if (r->if_version.len > 0 && !meta_same_version(&r->if_version, &r->has_version)) {
		v2s_refuse(r, FTX_OTHER_VERSION);
		return;
	}
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
	if (same) {
		r->has_version = found.version;
		if (v2s_put_has_key(r)) { /* which takes a share of its own */
			v2s_leave_place(r);
			v2s_want_place(r, V2S_SUMS, v2s_put_look_up);
		} else
			v2s_put_settle_same(r);
	} else
		v2s_put_go_on(r); /* that it cannot be read is no reason not to store it */
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
	else
		v2s_lend_share(r);
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
