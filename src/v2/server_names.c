/* Protocol 2, the server: requests that move no content. */
#include <stdlib.h>
#include <string.h>

#include "core/registry.h"
#include "net/conn.h"
#include "v2/server_private.h"

enum state { REQUEST_WAITING, REQUEST_RUNNING };
enum event { ON_START, ON_DONE };

static const char *const states[] = { "request_waiting", "request_running" };

static void begin(struct v2s_request *r);

/* The same for all: what begins them is the store's business, and that ends them. */
static const struct v2s_row rows[] = {
	{ REQUEST_WAITING, ON_START, begin, REQUEST_RUNNING },
};

static void
start(struct v2s_request *r)
{
	v2s_event(r, ON_START);
}

/* What only looks is stopped by letting go of it. */
static bool
cancel_looking(struct v2s_request *r)
{
	(void)r;
	return true;
}

static bool
cancel_change(struct v2s_request *r)
{
	return r->state == REQUEST_WAITING || r->is_waiting;
}

enum ftx_rc
v2s_take_name(struct v2s_request *r, struct v2_slice name, bool made, bool root, char **out)
{
	struct path_rules rules = r->c->server->names;
	char spelled[PATH_NAME_MAX + 1] = "";
	enum ftx_rc rc = FTX_OK;

	if (!made)
		rules.alphabet = PATH_BYTES;
	if (name.len > 0 || !root)
		rc = path_normalize(&rules, name.p, name.len, spelled, sizeof(spelled));
	if (rc != FTX_OK)
		return rc;
	*out = strdup(spelled);
	return *out != NULL ? FTX_OK : FTX_NOMEM;
}

struct v2_slice
v2s_version(const struct meta_version *v)
{
	return (struct v2_slice){ v->bytes, v->len };
}

enum ftx_rc
v2s_take_version(struct v2_slice s, struct meta_version *v)
{
	if (s.len > sizeof(v->bytes))
		return FTX_BAD_MESSAGE;
	v->len = s.len;
	if (s.len > 0)
		memcpy(v->bytes, s.p, s.len);
	return FTX_OK;
}

struct v2_time
v2s_time(const struct timespec *t)
{
	return (struct v2_time){ t->tv_sec, (uint32_t)t->tv_nsec };
}

void
v2s_fill_entry(struct v2_entry *e, const struct meta *m, unsigned kind)
{
	static const uint8_t kinds[] = {
		[META_FILE] = V2_REGULAR,
		[META_DIRECTORY] = V2_DIRECTORY,
		[META_LINK] = V2_SYMLINK,
		[META_OTHER] = V2_OTHER,
	};

	*e = (struct v2_entry){
		.has = V2_BIT(KIND) | V2_BIT(MTIME) | V2_BIT(MODE),
		.kind = kinds[m->kind],
		.mtime = v2s_time(&m->mtime),
		.mode = (uint16_t)m->mode,
	};
	if (m->kind != META_FILE)
		return;
	e->has |= V2_BIT(SIZE) | V2_BIT(FILE_VERSION);
	e->size = m->size;
	e->file_version = v2s_version(&m->version);
	if (m->digest.kind != DIGEST_NONE && (kind == DIGEST_NONE || kind == m->digest.kind)) {
		e->has |= V2_BIT(DIGEST);
		e->digest = m->digest;
	}
}

/* STAT */
static enum ftx_rc
take_stat(struct v2s_request *r, const struct v2_frame *f)
{
	struct v2_fault fault = v2_stat_decode(f, &r->c->terms, &r->m.stat);

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	return v2s_take_name(r, r->m.stat.name, false, true, &r->name);
}

static void
answer_stat(struct v2s_request *r)
{
	struct v2_entry e;

	v2s_fill_entry(&e, &r->asked->meta, r->m.stat.digest_kind);
	v2s_answer(r, V2_MESSAGE_stat_ok, &e, 0);
}

/* MKDIR */
static enum ftx_rc
take_mkdir(struct v2s_request *r, const struct v2_frame *f)
{
	struct v2_fault fault = v2_mkdir_decode(f, &r->c->terms, &r->m.mkdir);

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	return v2s_take_name(r, r->m.mkdir.name, true, false, &r->name);
}

/* RENAME */
static enum ftx_rc
take_rename(struct v2s_request *r, const struct v2_frame *f)
{
	struct v2_rename m;
	struct v2_fault fault = v2_rename_decode(f, &r->c->terms, &m);
	enum ftx_rc rc;

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	rc = v2s_take_version(m.if_version, &r->if_version);
	if (rc == FTX_OK)
		rc = v2s_take_name(r, m.name, false, false, &r->name);
	if (rc == FTX_OK)
		rc = v2s_take_name(r, m.to, true, false, &r->to);
	if (rc == FTX_OK && !r->c->server->allow_rename)
		rc = FTX_FORBIDDEN;
	if (rc == FTX_OK && (f->flags & V2_RENAME_REPLACE) != 0 && !r->c->server->allow_replace)
		rc = FTX_FORBIDDEN;
	return rc;
}

/* REMOVE */
static enum ftx_rc
take_remove(struct v2s_request *r, const struct v2_frame *f)
{
	struct v2_remove m;
	struct v2_fault fault = v2_remove_decode(f, &r->c->terms, &m);
	enum ftx_rc rc;

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	rc = v2s_take_version(m.if_version, &r->if_version);
	if (rc == FTX_OK)
		rc = v2s_take_name(r, m.name, false, false, &r->name);
	if (rc == FTX_OK && !r->c->server->allow_remove)
		rc = FTX_FORBIDDEN;
	return rc;
}

/* DIGEST */
static enum ftx_rc
take_digest(struct v2s_request *r, const struct v2_frame *f)
{
	struct v2_fault fault = v2_digest_decode(f, &r->c->terms, &r->m.digest);

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	return v2s_take_name(r, r->m.digest.name, false, false, &r->name);
}

static void
answer_digest(struct v2s_request *r)
{
	const struct v2_digest_made m = {
		.has = V2_BIT(DIGEST) | V2_BIT(SIZE) | V2_BIT(FILE_VERSION),
		.digest = r->asked->digest,
		.size = r->asked->meta.size,
		.file_version = v2s_version(&r->asked->meta.version),
	};

	v2s_answer(r, V2_MESSAGE_digest_ok, &m, 0);
}

static void
answer_ok(struct v2s_request *r)
{
	static const struct v2_done done = { 0 };
	uint8_t unsynced = r->asked->unsynced ? V2_OK_UNSYNCED : 0;
	struct v2_renamed renamed = { .has = V2_BIT(FILE_VERSION) };

	switch (r->asked->op) {
	case REQUEST_STAT:
		answer_stat(r);
		break;
	case REQUEST_LIST:
		v2s_answer_list(r);
		break;
	case REQUEST_MKDIR:
		v2s_answer(r, V2_MESSAGE_mkdir_ok, &done,
		    unsynced | (r->asked->existed ? V2_OK_EXISTED : 0));
		break;
	case REQUEST_RENAME:
		renamed.file_version = v2s_version(&r->asked->meta.version);
		v2s_answer(r, V2_MESSAGE_rename_ok, &renamed, unsynced);
		break;
	case REQUEST_REMOVE:
		v2s_answer(r, V2_MESSAGE_remove_ok, &done, unsynced);
		break;
	case REQUEST_SUM:
	default:
		answer_digest(r);
		break;
	}
}

static void
on_done(void *owner, struct store_request *asked, enum ftx_rc rc)
{
	struct v2s_request *r = owner;
	struct v2s_conn *c = r->c;

	(void)asked;
	if (rc == FTX_OK)
		answer_ok(r);
	else
		v2s_refuse(r, rc);
	v2s_run(c);
}

/* The names that are changed are nobody else's meanwhile. */
static enum ftx_rc
claim_names(const struct v2s_request *r, struct registry_claim *claims[2])
{
	enum registry_use use = r->type == V2_REMOVE && (r->flags & V2_REMOVE_DIRECTORY) != 0
				    ? REGISTRY_REMOVAL
				    : REGISTRY_UPLOAD;
	struct registry *registry = r->c->server->registry;
	enum ftx_rc rc = registry_claim(registry, r->name, use, &claims[0]);

	if (rc != FTX_OK || r->to == NULL || strcmp(r->name, r->to) == 0)
		return rc;
	rc = registry_claim(registry, r->to, REGISTRY_UPLOAD, &claims[1]);
	if (rc != FTX_OK) {
		registry_release(claims[0]);
		claims[0] = NULL;
	}
	return rc;
}

static enum ftx_rc
begin_change(struct v2s_request *r, const struct request_spec *spec)
{
	struct registry_claim *claims[2] = { NULL, NULL };
	struct store *s = r->c->server->store;
	enum ftx_rc rc = claim_names(r, claims);

	if (rc != FTX_OK)
		return rc;
	rc = r->type == V2_RENAME ? store_rename(s, spec, on_done, r, &r->asked)
				  : store_remove(s, spec, on_done, r, &r->asked);
	for (int i = 0; i < 2; i++) {
		if (claims[i] != NULL && rc == FTX_OK)
			request_add_claim(r->asked, claims[i], registry_release);
		else
			registry_release(claims[i]);
	}
	return rc;
}

static enum ftx_rc
begin_digest(struct v2s_request *r, struct request_spec *spec)
{
	enum ftx_rc rc;

	spec->kind = (enum digest_kind)r->m.digest.digest_kind;
	spec->offset = r->m.digest.offset;
	spec->length = V2_HAS(&r->m.digest, LENGTH) ? r->m.digest.length : UINT64_MAX;
	spec->fresh = (r->flags & V2_DIGEST_FRESH) != 0;
	rc = store_sum(r->c->server->store, spec, on_done, r, &r->asked);
	if (rc == FTX_OK)
		v2s_lend_share(r);
	return rc;
}

static void
begin_in_store(struct v2s_request *r)
{
	struct store *s = r->c->server->store;
	struct request_spec spec = {
		.name = r->name,
		.to = r->to,
		.if_version = r->if_version,
	};
	enum ftx_rc rc;

	switch (r->type) {
	case V2_STAT:
		spec.digests = true;
		rc = store_stat(s, &spec, on_done, r, &r->asked);
		break;
	case V2_LIST:
		rc = v2s_begin_list(r, &spec, on_done);
		break;
	case V2_MKDIR:
		spec.parents = (r->flags & V2_MKDIR_PARENTS) != 0;
		spec.has_mode = V2_HAS(&r->m.mkdir, MODE);
		spec.mode = r->m.mkdir.mode;
		rc = store_mkdir(s, &spec, on_done, r, &r->asked);
		break;
	case V2_DIGEST:
		rc = begin_digest(r, &spec);
		break;
	default:
		spec.replace = r->type == V2_RENAME && (r->flags & V2_RENAME_REPLACE) != 0;
		spec.directory = r->type == V2_REMOVE && (r->flags & V2_REMOVE_DIRECTORY) != 0;
		rc = begin_change(r, &spec);
		break;
	}
	if (rc != FTX_OK)
		v2s_refuse(r, rc);
}

/* What opens a file, or makes a page, waits for a place. */
static void
begin(struct v2s_request *r)
{
	if (r->type == V2_LIST)
		v2s_want_place(r, V2S_LISTS, begin_in_store);
	else if (r->type == V2_DIGEST)
		v2s_want_place(r, V2S_SUMS, begin_in_store);
	else
		begin_in_store(r);
}

static void
on_explained(void *owner, struct store_request *asked, enum ftx_rc rc)
{
	struct v2s_request *r = owner;
	struct v2s_conn *c = r->c;

	v2s_refuse(r, rc == FTX_OK && asked->meta.kind == META_DIRECTORY ? FTX_IS_DIRECTORY
									 : FTX_NOT_REGULAR);
	v2s_run(c);
}

void
v2s_refuse_kind(struct v2s_request *r)
{
	const struct request_spec spec = { .name = r->name };
	struct store *s = r->c->server->store;

	store_request_close(r->asked);
	r->asked = NULL;
	if (store_stat(s, &spec, on_explained, r, &r->asked) != FTX_OK)
		v2s_refuse(r, FTX_NOMEM);
}

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define SHORT_REQUEST(take, cancel)                            \
	{                                                      \
		states, rows, COUNT(rows), take, start, cancel \
	}

const struct v2s_kind v2s_stat_kind = SHORT_REQUEST(take_stat, cancel_looking);
const struct v2s_kind v2s_list_kind = SHORT_REQUEST(v2s_take_list, cancel_looking);
const struct v2s_kind v2s_mkdir_kind = SHORT_REQUEST(take_mkdir, cancel_change);
const struct v2s_kind v2s_rename_kind = SHORT_REQUEST(take_rename, cancel_change);
const struct v2s_kind v2s_remove_kind = SHORT_REQUEST(take_remove, cancel_change);
const struct v2s_kind v2s_digest_kind = SHORT_REQUEST(take_digest, cancel_looking);
