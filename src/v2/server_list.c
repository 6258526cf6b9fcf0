/* Protocol 2, the server: LIST, and the listings that can go on. */
#include <stdlib.h>
#include <string.h>

#include "v2/server_private.h"

/* A listing that nobody goes on with is given up, ms. */
#define CURSOR_MS 60000
/* What an ENTRY takes besides its name, at most: heads, and all of its attributes. */
#define ENTRY_BYTES        88
#define ENTRY_DIGEST_BYTES 128 /* the same with a digest */
/* A page, with room for its cursor. */
#define PAGE_BYTES (V2_CONTROL_MAX - 512)
#define PAGE_MOST  1024

enum ftx_rc
v2s_take_list(struct v2s_request *r, const struct v2_frame *f)
{
	struct v2_fault fault = v2_list_decode(f, &r->c->terms, &r->m.list);
	struct cursor number;

	if (fault.reach != V2_REACH_NONE)
		return fault.rc;
	if (V2_HAS(&r->m.list, CURSOR)) {
		number = cursor_init(r->m.list.cursor.p, r->m.list.cursor.len);
		r->cursor = cursor_get_u64(&number);
		if (!cursor_done(&number) || r->cursor == 0)
			r->cursor = UINT64_MAX; /* none of ours */
	}
	return v2s_take_name(r, r->m.list.name, false, true, &r->name);
}

static void
cursor_drop(struct v2s_cursor *k)
{
	store_request_close(k->asked);
	*k = (struct v2s_cursor){ 0 };
}

void
v2s_cursors_clear(struct v2s_conn *c)
{
	for (int i = 0; i < V2S_CURSORS; i++)
		cursor_drop(&c->cursors[i]);
}

bool
v2s_cursors_expire(struct v2s_conn *c)
{
	uint64_t now = worker_now(c->worker);
	bool some = false;

	for (int i = 0; i < V2S_CURSORS; i++) {
		if (c->cursors[i].number != 0 && now - c->cursors[i].used > CURSOR_MS)
			cursor_drop(&c->cursors[i]);
		some = some || c->cursors[i].number != 0;
	}
	return some;
}

/* The listing goes on where that of an earlier request has stopped. False: it is not there. */
static bool
resume_listing(struct v2s_request *r)
{
	for (int i = 0; i < V2S_CURSORS; i++) {
		struct v2s_cursor *k = &r->c->cursors[i];

		if (k->number != r->cursor || strcmp(k->asked->spec.name, r->name) != 0)
			continue;
		r->asked = k->asked;
		r->asked->owner = r;
		k->asked = NULL;
		cursor_drop(k);
		store_list_next(r->asked);
		return true;
	}
	return false;
}

/* It goes on from here, if the client wants it to. 0: it cannot. */
static uint64_t
keep_listing(struct v2s_request *r)
{
	struct v2s_conn *c = r->c;
	struct v2s_cursor *oldest = &c->cursors[0];

	for (int i = 0; i < V2S_CURSORS; i++) {
		if (c->cursors[i].used < oldest->used || c->cursors[i].number == 0)
			oldest = &c->cursors[i];
		if (oldest->number == 0)
			break;
	}
	cursor_drop(oldest);
	oldest->number = ++c->cursor_number;
	oldest->used = worker_now(c->worker);
	oldest->asked = r->asked;
	store_list_rest(oldest->asked);
	r->asked = NULL;
	return oldest->number;
}

void
v2s_answer_list(struct v2s_request *r)
{
	size_t size = V2_HEADER_SIZE + V2_CONTROL_MAX, len;
	const struct listing_page *page = &r->asked->page;
	struct v2s_conn *c = r->c;
	struct v2_page_writer w;
	struct cursor_out out;
	uint8_t number[8], *frame = malloc(size);

	if (frame == NULL) {
		v2s_refuse(r, FTX_NOMEM);
		return;
	}
	v2_page_begin(&w, r->id, frame, size);
	for (size_t i = 0; i < page->count; i++) {
		struct v2_entry e;

		v2s_fill_entry(&e, &page->entries[i].meta, r->m.list.digest_kind);
		e.has |= V2_BIT(NAME);
		e.name.p = (const uint8_t *)page->entries[i].name;
		e.name.len = strlen(page->entries[i].name);
		if (!v2_page_add(&w, &e)) {
			free(frame);
			v2s_refuse(r, FTX_INTERNAL);
			return;
		}
	}
	out = cursor_out_init(number, sizeof(number));
	cursor_put_u64(&out, page->more ? keep_listing(r) : 0);
	len = v2_page_end(&w, (struct v2_slice){ number, r->asked == NULL ? sizeof(number) : 0 });
	if (len > 0)
		v2s_send_bytes(c, frame, len);
	free(frame);
	if (!c->closed)
		v2s_answer(r, V2_MESSAGE_page, NULL, 0);
}

enum ftx_rc
v2s_begin_list(struct v2s_request *r, struct request_spec *spec, request_done_cb *on_done)
{
	if (r->cursor != 0)
		return resume_listing(r) ? FTX_OK : FTX_CURSOR_EXPIRED;
	spec->digests = (r->flags & V2_LIST_DIGESTS) != 0;
	spec->rules = r->c->server->names;
	spec->rules.alphabet = PATH_BYTES; /* what stands there may be asked for */
	spec->limits = (struct listing_limits){ PAGE_MOST, PAGE_BYTES,
		spec->digests ? ENTRY_DIGEST_BYTES : ENTRY_BYTES };
	return store_list(r->c->server->store, spec, on_done, r, &r->asked);
}
