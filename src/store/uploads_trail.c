/* What is known of the content of an upload without reading its stage. Only this process knows. */
#include "store/uploads_private.h"

/* Each may take 5 KiB. */
#define TRAILS_MAX 1024

void
uploads_drop_trail(struct uploads *u, struct upload *up)
{
	if (up->trail == NULL)
		return;
	TAILQ_REMOVE(&u->trails, up, trail_link);
	u->trail_count--;
	digest_trail_clear(&up->trail);
}

/* The lock is held. It is the last one to go now. */
static void
note(struct uploads *u, struct upload *up, const struct digest *d, uint64_t at)
{
	if (up->trail != NULL) {
		TAILQ_REMOVE(&u->trails, up, trail_link);
		u->trail_count--;
	}
	digest_trail_note(&up->trail, d, at);
	if (up->trail == NULL)
		return;
	TAILQ_INSERT_TAIL(&u->trails, up, trail_link);
	if (++u->trail_count > TRAILS_MAX)
		uploads_drop_trail(u, TAILQ_FIRST(&u->trails));
}

void
uploads_mark(struct upload_claim *c, const struct digest *d, uint64_t at)
{
	struct uploads *u = c->uploads;

	pthread_mutex_lock(&u->lock);
	if (c->upload != NULL && !c->taken) {
		if (d == NULL)
			uploads_drop_trail(u, c->upload);
		else
			note(u, c->upload, d, at);
	}
	pthread_mutex_unlock(&u->lock);
}

void
uploads_stands(struct upload_claim *c, const struct meta_version *v)
{
	pthread_mutex_lock(&c->uploads->lock);
	if (c->upload != NULL)
		c->upload->stands = *v;
	pthread_mutex_unlock(&c->uploads->lock);
}

void
uploads_check(struct upload_claim *c, const struct meta_version *v)
{
	pthread_mutex_lock(&c->uploads->lock);
	if (c->upload != NULL && !meta_same_version(&c->upload->stands, v))
		uploads_drop_trail(c->uploads, c->upload);
	pthread_mutex_unlock(&c->uploads->lock);
}

uint64_t
uploads_find_mark(struct upload_claim *c, enum digest_kind kind, uint64_t upto, struct digest *d)
{
	struct upload *up;
	uint64_t at = 0;

	*d = (struct digest){ 0 };
	pthread_mutex_lock(&c->uploads->lock);
	up = c->taken ? NULL : c->upload;
	if (up != NULL)
		at = digest_trail_find(up->trail, kind, upto, d);
	pthread_mutex_unlock(&c->uploads->lock);
	return at;
}
