#include "store/uploads.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "store/root.h"
#include "store/uploads_private.h"

/* Who is taken over may be quiet for so long, and is let go on for so long; ms. */
#define QUIET_MS 60
#define GO_ON_MS 1000

/* What a record takes in the file, about. */
#define RECORD_BYTES ((uint64_t)320)

static uint64_t
now_seconds(void)
{
	time_t t = time(NULL);

	return t > 0 ? (uint64_t)t : 0;
}

struct upload *
uploads_find(struct uploads *u, const struct upload_key *key)
{
	struct upload *up;

	HASH_FIND(hh, u->by_key, key, sizeof(*key), up);
	return up;
}

struct upload *
uploads_add(struct uploads *u, const struct upload_record *r)
{
	struct upload *up = calloc(1, sizeof(*up) + r->name_len + 1);

	if (up == NULL)
		return NULL;
	memcpy(up->name, r->name, r->name_len);
	up->record = *r;
	up->record.name = up->name;
	up->record.stage[0] = '\0';
	HASH_ADD(hh, u->by_key, record.key, sizeof(up->record.key), up);
	if (up->unlisted) {
		free(up);
		return NULL;
	}
	TAILQ_INSERT_TAIL(&u->by_use, up, link);
	u->count++;
	uploads_tell_watch(u);
	u->live += RECORD_BYTES + r->name_len;
	return up;
}

bool
uploads_set_stage(struct uploads *u, struct upload *up, const char *stage)
{
	uploads_drop_trail(u, up);
	up->bytes = 0;
	if (up->record.stage[0] != '\0')
		HASH_DELETE(hh_stage, u->by_stage, up);
	memset(up->record.stage, 0, sizeof(up->record.stage));
	if (*stage == '\0')
		return true;
	if (strlen(stage) >= sizeof(up->record.stage))
		return false;
	memcpy(up->record.stage, stage, strlen(stage));
	HASH_ADD(hh_stage, u->by_stage, record.stage, sizeof(up->record.stage), up);
	if (up->unlisted) {
		up->unlisted = false;
		up->record.stage[0] = '\0';
		return false;
	}
	up->bytes = up->record.announced;
	return true;
}

void
uploads_take_out(struct uploads *u, struct upload *up)
{
	uploads_drop_trail(u, up);
	if (up->record.stage[0] != '\0')
		HASH_DELETE(hh_stage, u->by_stage, up);
	HASH_DEL(u->by_key, up);
	TAILQ_REMOVE(&u->by_use, up, link);
	u->count--;
	u->live -= RECORD_BYTES + up->record.name_len;
	if (up->owner != NULL)
		up->owner->upload = NULL;
	up->owner = NULL;
}

void
uploads_write_down(struct uploads *u, struct upload *up)
{
	up->logged = true;
	if (!upload_record_encode(&up->record, &u->pending))
		u->incomplete = true;
}

static void
note_use(struct uploads *u, struct upload *up, uint64_t now)
{
	up->record.used = now;
	TAILQ_REMOVE(&u->by_use, up, link);
	TAILQ_INSERT_TAIL(&u->by_use, up, link);
}

/* It is known to nobody but the file yet, which hears of it. */
static void
write_off(struct uploads *u, struct upload *up)
{
	if (!up->logged)
		return;
	up->record.state = UPLOAD_FORGOTTEN;
	uploads_write_down(u, up);
}

static bool
same_terms(const struct upload *up, const struct upload_terms *terms, const char *name)
{
	return up->record.terms == terms->policy && up->record.announced == terms->size &&
	       strcmp(up->name, name) == 0;
}

static void
deliver_taken(struct mail *m)
{
	struct upload_claim *c = (struct upload_claim *)m; /* its first member */
	bool released;

	pthread_mutex_lock(&c->uploads->lock);
	c->mailed = false;
	released = c->released;
	pthread_mutex_unlock(&c->uploads->lock);
	/* It is released on this thread only. */
	if (released)
		free(c);
	else
		c->on_taken(c->arg);
}

/* The lock is held. From here on it may do nothing; its owner is told. */
static void
take(struct upload_claim *c)
{
	if (c->taken)
		return;
	c->taken = true;
	if (c->worker == NULL || c->released)
		return;
	c->mailed = true;
	c->mail.deliver = deliver_taken;
	worker_post(c->worker, &c->mail);
}

static bool
has_owner(const struct upload *up, const struct upload_terms *terms, const char *name)
{
	return up != NULL && up->owner != NULL && same_terms(up, terms, name);
}

/*
 * Of a client that has died more may have been received than is written, and would have to be sent
 * again: so its owner is let go on as long as it gets on, for a while.
 */
static bool
has_had_its_time(const struct upload_claim *owner, struct uploads_patience *p)
{
	uint64_t now = clock_now_ms();

	if (owner->taken)
		return true;
	if (p->owner == NULL) {
		p->owner = owner;
		p->since = p->quiet_since = now;
		p->entered = owner->entered;
		return false;
	}
	if (p->owner != owner)
		return true; /* somebody who waited beside us has it */
	if (owner->busy || owner->entered != p->entered)
		p->quiet_since = now;
	p->entered = owner->entered;
	return now - p->quiet_since >= QUIET_MS || now - p->since >= GO_ON_MS;
}

/* The lock is held. NULL with FTX_OK: there is none (any more). */
static struct upload *
take_over(struct uploads *u, const struct upload_terms *terms, const char *name,
    struct uploads_patience *p, enum ftx_rc *rc)
{
	struct upload *up = uploads_find(u, &terms->key);

	*rc = FTX_OK;
	if (!has_owner(up, terms, name))
		return up; /* looked for once: that costs more than all else here */
	*rc = FTX_BUSY;
	if (!has_had_its_time(up->owner, p))
		return NULL;
	take(up->owner);
	if (up->owner->busy)
		return NULL; /* it will leave */
	up->owner->upload = NULL;
	up->owner = NULL;
	*rc = FTX_OK;
	return up;
}

/* The lock is held. The oldest that are only known of make room in memory. */
static void
forget_oldest(struct uploads *u)
{
	struct upload *up = TAILQ_FIRST(&u->by_use);

	if (u->count < UPLOADS_MAX || up->owner != NULL || up->record.stage[0] != '\0')
		return;
	write_off(u, up);
	uploads_take_out(u, up);
	space_release(&up->hold);
	free(up);
}

enum ftx_rc
uploads_claim(struct uploads *u, const struct upload_terms *terms, const char *name,
    struct uploads_patience *p, struct upload_claim **out)
{
	const struct upload_record fresh = { .key = terms->key,
		.state = UPLOAD_UNFINISHED,
		.terms = terms->policy,
		.announced = terms->size,
		.name = name,
		.name_len = strlen(name),
		.used = now_seconds() };
	struct upload_claim *c = calloc(1, sizeof(*c));
	struct upload *up;
	enum ftx_rc rc;

	*out = NULL;
	if (c == NULL)
		return FTX_NOMEM;
	pthread_mutex_lock(&u->lock);
	up = take_over(u, terms, name, p, &rc);
	if (rc == FTX_OK && up == NULL) {
		forget_oldest(u);
		up = uploads_add(u, &fresh);
		rc = up != NULL ? FTX_OK : FTX_NOMEM;
	}
	if (rc == FTX_OK && same_terms(up, terms, name)) {
		c->uploads = u;
		c->upload = up;
		up->owner = c;
		note_use(u, up, now_seconds());
		*out = c;
		c = NULL;
	}
	pthread_mutex_unlock(&u->lock);
	free(c);
	return rc;
}

void
uploads_on_taken(struct upload_claim *c, struct worker *w, void (*on_taken)(void *), void *arg)
{
	pthread_mutex_lock(&c->uploads->lock);
	c->on_taken = on_taken;
	c->arg = arg;
	c->worker = w;
	if (c->taken) {
		c->taken = false;
		take(c);
	}
	pthread_mutex_unlock(&c->uploads->lock);
}

bool
uploads_look(struct upload_claim *c, struct upload_record *r)
{
	bool found;

	pthread_mutex_lock(&c->uploads->lock);
	found = c->upload != NULL;
	if (found)
		*r = c->upload->record;
	r->name = NULL;
	pthread_mutex_unlock(&c->uploads->lock);
	return found;
}

bool
uploads_enter(struct upload_claim *c)
{
	bool may;

	if (c == NULL)
		return true;
	pthread_mutex_lock(&c->uploads->lock);
	may = !c->taken && c->upload != NULL;
	assert(!c->busy);
	c->busy = may;
	c->entered++;
	pthread_mutex_unlock(&c->uploads->lock);
	return may;
}

void
uploads_leave(struct upload_claim *c)
{
	if (c == NULL)
		return;
	pthread_mutex_lock(&c->uploads->lock);
	c->busy = false;
	pthread_mutex_unlock(&c->uploads->lock);
}

void
uploads_give_hold(struct upload_claim *c, struct space_hold *hold)
{
	pthread_mutex_lock(&c->uploads->lock);
	if (c->upload != NULL) {
		c->upload->hold = *hold;
		c->upload->bytes = c->upload->record.announced;
		*hold = (struct space_hold){ 0 };
	}
	pthread_mutex_unlock(&c->uploads->lock);
}

void
uploads_written(struct upload_claim *c, size_t bytes)
{
	pthread_mutex_lock(&c->uploads->lock);
	if (c->upload != NULL)
		space_written(&c->upload->hold, bytes);
	pthread_mutex_unlock(&c->uploads->lock);
}

void
uploads_take_hold(struct upload_claim *c, struct space_hold *hold)
{
	pthread_mutex_lock(&c->uploads->lock);
	if (c->upload != NULL) {
		*hold = c->upload->hold;
		c->upload->hold = (struct space_hold){ 0 };
	}
	pthread_mutex_unlock(&c->uploads->lock);
}

enum ftx_rc
uploads_staged(struct upload_claim *c, const char *stage)
{
	enum ftx_rc rc = FTX_TAKEN_OVER;

	pthread_mutex_lock(&c->uploads->lock);
	if (c->upload != NULL && !c->taken) {
		rc = uploads_set_stage(c->uploads, c->upload, stage) ? FTX_OK : FTX_NOMEM;
		if (rc == FTX_OK && *stage != '\0')
			uploads_write_down(c->uploads, c->upload);
	}
	pthread_mutex_unlock(&c->uploads->lock);
	if (rc == FTX_OK)
		uploads_note(c->uploads);
	return rc;
}

enum ftx_rc
uploads_ready(struct upload_claim *c, const struct meta *m, ino_t ino)
{
	struct upload *up;

	pthread_mutex_lock(&c->uploads->lock);
	up = c->upload; /* it stays, for who has entered */
	up->record.state = UPLOAD_READY;
	up->record.meta = *m;
	up->record.ino = (uint64_t)ino;
	up->record.unsynced = !root_syncs(c->uploads->root);
	note_use(c->uploads, up, now_seconds());
	uploads_write_down(c->uploads, up);
	pthread_mutex_unlock(&c->uploads->lock);
	return FTX_OK;
}

void
uploads_published(struct upload_claim *c, const struct meta *m)
{
	struct upload *up;

	pthread_mutex_lock(&c->uploads->lock);
	up = c->upload;
	(void)uploads_set_stage(c->uploads, up, "");
	up->record.state = UPLOAD_PUBLISHED;
	up->record.meta = *m;
	clock_gettime(CLOCK_REALTIME, &up->record.time);
	uploads_write_down(c->uploads, up);
	pthread_mutex_unlock(&c->uploads->lock);
}

bool
uploads_forget(struct upload_claim *c)
{
	struct uploads *u = c->uploads;
	struct upload *up;

	pthread_mutex_lock(&u->lock);
	up = c->upload;
	if (up != NULL && upload_has_name(up))
		up = NULL;
	if (up != NULL) {
		write_off(u, up);
		uploads_take_out(u, up);
	}
	pthread_mutex_unlock(&u->lock);
	if (up == NULL)
		return false;
	uploads_note(u);
	space_release(&up->hold);
	free(up);
	return true;
}

void
uploads_release(struct upload_claim *c)
{
	struct uploads *u;
	struct upload *up;
	bool mailed;

	if (c == NULL)
		return;
	u = c->uploads;
	pthread_mutex_lock(&u->lock);
	up = c->upload;
	if (up != NULL) {
		up->owner = NULL;
		note_use(u, up, now_seconds());
	}
	if (up != NULL && !upload_has_name(up) && up->record.stage[0] == '\0') {
		write_off(u, up); /* there is nothing of it */
		uploads_take_out(u, up);
	} else
		up = NULL;
	c->upload = NULL;
	c->released = true;
	mailed = c->mailed;
	pthread_mutex_unlock(&u->lock);
	if (up != NULL)
		space_release(&up->hold);
	free(up);
	if (!mailed)
		free(c);
}

bool
uploads_keep(struct uploads *u, const char *stage)
{
	char key[UPLOAD_STAGE_SIZE] = { 0 };
	struct upload *up = NULL;

	if (strlen(stage) >= sizeof(key))
		return false;
	memcpy(key, stage, strlen(stage));
	pthread_mutex_lock(&u->lock);
	HASH_FIND(hh_stage, u->by_stage, key, sizeof(key), up);
	pthread_mutex_unlock(&u->lock);
	return up != NULL;
}
