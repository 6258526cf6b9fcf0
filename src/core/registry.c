#include "core/registry.h"

#include <assert.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

/* A name in use. */
struct registry_name {
	UT_hash_handle hh;
	unsigned downloads;
	bool upload;    /* an upload has claimed it */
	bool uploading; /* and is under way: registry_begin_upload() */
	bool removal;   /* of the directory; also an upload, which keeps others out */
	struct registry_claim *uploader; /* borrowed: of that upload */
	bool unlisted;                   /* base/hash: the table had no memory to add it */
	char name[];
};

struct registry {
	pthread_mutex_t lock;
	struct registry_name *names; /* owned: a hash by name */
	unsigned removals;
};

struct registry_claim {
	struct registry *registry; /* borrowed; outlives its claims */
	/* borrowed: there as long as anybody claims it; NULL: it has passed to another claim */
	struct registry_name *name;
	enum registry_use use;
	bool marked; /* what follows is true */
	uint8_t mark[REGISTRY_MARK_SIZE];
};

enum ftx_rc
registry_new(struct registry **out)
{
	struct registry *r;
	enum ftx_rc rc = hash_start();

	if (rc != FTX_OK)
		return rc;
	r = calloc(1, sizeof(*r));
	if (r == NULL)
		return FTX_NOMEM;
	pthread_mutex_init(&r->lock, NULL);
	*out = r;
	return FTX_OK;
}

void
registry_free(struct registry *r)
{
	if (r == NULL)
		return;
	assert(r->names == NULL);
	pthread_mutex_destroy(&r->lock);
	free(r);
}

/* The lock is held. */
static struct registry_name *
name_add(struct registry *r, const char *name)
{
	size_t len = strlen(name);
	struct registry_name *n = calloc(1, sizeof(*n) + len + 1);

	if (n == NULL)
		return NULL;
	memcpy(n->name, name, len + 1);
	HASH_ADD_KEYPTR(hh, r->names, n->name, len, n);
	if (n->unlisted) {
		free(n);
		return NULL;
	}
	return n;
}

/* A directory on the way to the name is being removed. The lock is held. */
static bool
is_below_removal(const struct registry *r, const char *name)
{
	const char *slash = name;

	while (r->removals > 0 && (slash = strchr(slash, '/')) != NULL) {
		struct registry_name *n;
		size_t len = (size_t)(slash - name);

		HASH_FIND(hh, r->names, name, len, n);
		if (n != NULL && n->removal)
			return true;
		slash++;
	}
	return false;
}

/* Something is uploaded into the directory, or below. The lock is held. */
static bool
is_above_upload(const struct registry *r, const char *name)
{
	size_t len = strlen(name);

	for (const struct registry_name *n = r->names; n != NULL; n = n->hh.next) {
		if (n->upload && strncmp(n->name, name, len) == 0 && n->name[len] == '/')
			return true;
	}
	return false;
}

/* Both are of the same upload. */
static bool
same_mark(const struct registry_claim *a, const struct registry_claim *b)
{
	return a->marked && b->marked && memcmp(a->mark, b->mark, sizeof(a->mark)) == 0;
}

/* The lock is held. */
static enum ftx_rc
name_use(struct registry *r, const char *name, struct registry_claim *claim)
{
	enum registry_use use = claim->use;
	struct registry_name *n;

	HASH_FIND_STR(r->names, name, n);
	if (n != NULL && n->uploader != NULL && same_mark(n->uploader, claim)) {
		n->uploader->name = NULL;
		n->uploader = claim;
		claim->name = n;
		return FTX_OK;
	}
	if (n != NULL && (use == REGISTRY_DOWNLOAD ? n->uploading : n->upload))
		return FTX_BUSY;
	if ((use == REGISTRY_REMOVAL && is_above_upload(r, name)) ||
	    (use != REGISTRY_DOWNLOAD && is_below_removal(r, name)))
		return FTX_BUSY;
	if (n == NULL)
		n = name_add(r, name);
	if (n == NULL)
		return FTX_NOMEM;
	if (use == REGISTRY_DOWNLOAD)
		n->downloads++;
	else {
		n->upload = true;
		n->uploader = claim;
	}
	if (use == REGISTRY_REMOVAL) {
		n->removal = true;
		r->removals++;
	}
	claim->name = n;
	return FTX_OK;
}

static enum ftx_rc
add_claim(struct registry *r, const char *name, enum registry_use use, const uint8_t *mark,
    struct registry_claim **out)
{
	struct registry_claim *claim = calloc(1, sizeof(*claim));
	enum ftx_rc rc;

	if (claim == NULL)
		return FTX_NOMEM;
	claim->registry = r;
	claim->use = use;
	claim->marked = mark != NULL;
	if (mark != NULL)
		memcpy(claim->mark, mark, sizeof(claim->mark));
	pthread_mutex_lock(&r->lock);
	rc = name_use(r, name, claim);
	pthread_mutex_unlock(&r->lock);
	if (rc != FTX_OK) {
		free(claim);
		return rc;
	}
	*out = claim;
	return FTX_OK;
}

enum ftx_rc
registry_claim(
    struct registry *r, const char *name, enum registry_use use, struct registry_claim **out)
{
	return add_claim(r, name, use, NULL, out);
}

enum ftx_rc
registry_claim_marked(struct registry *r, const char *name, const uint8_t mark[REGISTRY_MARK_SIZE],
    struct registry_claim **out)
{
	return add_claim(r, name, REGISTRY_UPLOAD, mark, out);
}

enum ftx_rc
registry_begin_upload(struct registry_claim *claim)
{
	enum ftx_rc rc = FTX_BUSY;

	pthread_mutex_lock(&claim->registry->lock);
	if (claim->name == NULL)
		rc = FTX_TAKEN_OVER;
	else if (claim->name->downloads == 0) {
		claim->name->uploading = true;
		rc = FTX_OK;
	}
	pthread_mutex_unlock(&claim->registry->lock);
	return rc;
}

/* The lock is held. */
static void
name_leave(struct registry *r, const struct registry_claim *claim)
{
	struct registry_name *n = claim->name;

	if (claim->use == REGISTRY_DOWNLOAD)
		n->downloads--;
	else {
		n->upload = n->uploading = false;
		n->uploader = NULL;
	}
	if (claim->use == REGISTRY_REMOVAL) {
		n->removal = false;
		r->removals--;
	}
	if (!n->upload && n->downloads == 0) {
		HASH_DEL(r->names, n);
		free(n);
	}
}

void
registry_release(void *arg)
{
	struct registry_claim *claim = arg;
	struct registry *r;

	if (claim == NULL)
		return;
	r = claim->registry;
	pthread_mutex_lock(&r->lock);
	if (claim->name != NULL)
		name_leave(r, claim);
	pthread_mutex_unlock(&r->lock);
	free(claim);
}
