/* Protocol 2, the server: receipts. */
#include <string.h>
#include <time.h>

#include "v2/server_put.h"

struct v2_time
v2s_clock(void)
{
	struct timespec now = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &now);
	return v2s_time(&now);
}

static struct v2_receipt
make_receipt(const struct v2s_request *r, uint64_t size, const struct digest_value *digest,
    const struct meta_version *version)
{
	return (struct v2_receipt){
		.has = V2_BIT(NAME) | V2_BIT(SIZE) | V2_BIT(DIGEST) | V2_BIT(FILE_VERSION) |
		       V2_BIT(TIME),
		.name = { (const uint8_t *)r->name, strlen(r->name) },
		.size = size,
		.digest = *digest,
		.file_version = v2s_version(version),
		.time = v2s_clock(),
	};
}

void
v2s_put_answer(struct v2s_request *r)
{
	const struct transfer *t = r->transfer;
	bool before = t->published;
	struct v2_receipt m = make_receipt(r, before ? t->meta.size : t->size,
	    before ? &t->meta.digest : &r->sum, &t->meta.version);
	uint8_t flags = t->unsynced ? V2_OK_UNSYNCED : 0;

	if (t->published_at.tv_sec != 0)
		m.time = v2s_time(&t->published_at); /* each time it is asked for the same */
	if (before && t->superseded) {
		m.has &= ~V2_BIT(FILE_VERSION);
		flags |= V2_OK_SUPERSEDED;
	}
	v2s_answer(r, V2_MESSAGE_put_ok, &m, flags);
}

void
v2s_put_answer_same(struct v2s_request *r, const struct meta *found, bool unsynced)
{
	struct v2_receipt m = make_receipt(r, found->size, &r->m.put.digest, &found->version);

	v2s_answer(r, V2_MESSAGE_put_ok, &m, V2_OK_SAME | (unsynced ? V2_OK_UNSYNCED : 0));
}
