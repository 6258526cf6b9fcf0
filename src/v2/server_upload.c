/* Protocol 2, the server: a PUT that is known again by its UPLOAD_ID. */
#include <string.h>

#include "core/registry.h"
#include "store/upload_key.h"
#include "v2/server_put.h"

void
v2s_put_terms(const struct v2s_request *r, struct upload_terms *terms)
{
	const struct v2_put *m = &r->m.put;

	*terms = (struct upload_terms){
		.size = v2s_put_is_stream(r) ? UPLOAD_NO_SIZE : m->size,
		.policy = m->policy,
		.keep = !v2s_put_is_stream(r) && !v2s_put_has_now(r),
	};
	(void)upload_key_set(&terms->key, UPLOAD_ANONYMOUS, m->upload_id); /* it is not too long */
}

enum ftx_rc
v2s_put_claim(struct v2s_request *r, struct registry_claim **out)
{
	struct registry *registry = r->c->server->registry;
	uint8_t mark[REGISTRY_MARK_SIZE];
	struct upload_terms terms;

	_Static_assert(UPLOAD_MARK_SIZE == REGISTRY_MARK_SIZE, "one is handed on as the other");
	if (!v2s_put_has_key(r))
		return registry_claim(registry, r->name, REGISTRY_UPLOAD, out);
	v2s_put_terms(r, &terms);
	upload_terms_mark(&terms, mark);
	return registry_claim_marked(registry, r->name, mark, out);
}

/* Both sides have made the digest of what is kept, or there is none to make. */
static void
compare(struct v2s_request *r)
{
	struct transfer *t = r->transfer;
	uint64_t offset = 0;

	if (r->prefix_due || t->op == TRANSFER_PREFIX)
		return;
	if (digest_equal(&r->prefix, &r->sum)) {
		digest_clear(&r->digest);
		r->digest = t->prefix; /* it goes on with what comes */
		t->prefix = (struct digest){ 0 };
		offset = t->have;
	}
	v2s_put_reserve(r, offset);
}

void
v2s_put_begin_compare(struct v2s_request *r)
{
	struct transfer *t = r->transfer;
	const struct v2_offset have = { .has = V2_BIT(OFFSET), .offset = t->have };
	enum ftx_rc rc = store_prefix(t, (enum digest_kind)r->m.put.digest_kind, t->have);

	if (rc != FTX_OK) {
		v2s_refuse(r, rc);
		return;
	}
	v2s_want_prefix(r, t->have, (enum digest_kind)r->m.put.digest_kind);
	v2s_send(r->c, V2_MESSAGE_have, &have, 0, r->id);
}

void
v2s_put_on_summed(struct v2s_request *r, enum ftx_rc rc)
{
	struct digest made = { 0 };

	if (rc == FTX_OK)
		rc = digest_copy(&made, &r->transfer->prefix);
	if (rc == FTX_OK)
		rc = digest_final(&made, &r->sum);
	else if (rc != FTX_NOMEM && rc != FTX_TAKEN_OVER)
		rc = FTX_OK; /* what cannot be read again is to be sent again, as if it differed */
	if (rc != FTX_OK)
		v2s_refuse(r, rc);
	else
		compare(r);
}

void
v2s_put_prefixed(struct v2s_request *r)
{
	if (r->prefix.kind == DIGEST_NONE && r->transfer->op == TRANSFER_PREFIX)
		store_cancel(r->transfer); /* there is nothing to compare with */
	compare(r);
}

void
v2s_put_on_taken(void *owner, struct transfer *t)
{
	struct v2s_request *r = owner;
	struct v2s_conn *c = r->c;

	(void)t;
	if (r->state == V2S_PUT_COMMITTING)
		return; /* how that ends says more: published, or another one's after all */
	v2s_refuse(r, FTX_TAKEN_OVER);
	v2s_run(c);
}
