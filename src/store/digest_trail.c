#include "store/digest_trail.h"

#include <stdlib.h>
#include <string.h>

struct mark {
	uint64_t at; /* bytes */
	struct digest digest;
};

struct digest_trail {
	unsigned count;
	struct mark marks[DIGEST_TRAIL_MARKS]; /* count of them, the oldest first */
};

static uint64_t
last_of(const struct digest_trail *t)
{
	return t != NULL && t->count > 0 ? t->marks[t->count - 1].at : 0;
}

static void
drop_last(struct digest_trail *t)
{
	digest_clear(&t->marks[--t->count].digest);
}

static void
drop_first(struct digest_trail *t)
{
	digest_clear(&t->marks[0].digest);
	memmove(t->marks, t->marks + 1, --t->count * sizeof(t->marks[0]));
}

void
digest_trail_note(struct digest_trail **t, const struct digest *d, uint64_t at)
{
	struct mark mark = { .at = at };

	if (at < last_of(*t))
		digest_trail_clear(t);
	if (at - last_of(*t) < DIGEST_TRAIL_STEP)
		return;
	if (*t == NULL)
		*t = calloc(1, sizeof(**t));
	if (*t == NULL || digest_copy(&mark.digest, d) != FTX_OK)
		return;
	if ((*t)->count == DIGEST_TRAIL_MARKS)
		drop_first(*t);
	(*t)->marks[(*t)->count++] = mark;
}

uint64_t
digest_trail_find(struct digest_trail *t, enum digest_kind kind, uint64_t upto, struct digest *d)
{
	*d = (struct digest){ 0 };
	if (t == NULL)
		return 0;
	while (t->count > 0 && (last_of(t) > upto || t->marks[t->count - 1].digest.kind != kind))
		drop_last(t);
	if (t->count == 0 || digest_copy(d, &t->marks[t->count - 1].digest) != FTX_OK)
		return 0;
	return last_of(t);
}

void
digest_trail_clear(struct digest_trail **t)
{
	if (*t == NULL)
		return;
	while ((*t)->count > 0)
		drop_last(*t);
	free(*t);
	*t = NULL;
}
