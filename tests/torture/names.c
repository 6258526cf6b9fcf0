/*
 * names.c - one request on a store, by a program that does nothing else: what no protocol asks for
 * yet, for the suites here. The result is a line on standard output.
 *
 *	names ROOT stat|list|mkdir|mkdirs|remove|rmdir|sum|put|upload NAME
 *	names ROOT rename|replace FROM TO
 *
 * put makes a file of a few bytes, with a time and a digest; upload does so by a key, and says
 * whether it was published before. Exit 0: done; 1: the line says why
 * not; 2: something else.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>

#include "loop/chunk.h"
#include "loop/pool.h"
#include "loop/worker.h"
#include "store/local.h"
#include "store/request.h"
#include "store/root.h"
#include "store/stage.h"
#include "store/store.h"

#define CONTENT "content"

typedef enum ftx_rc begin_call(struct store *s, const struct request_spec *spec,
    request_done_cb *on_done, void *owner, struct store_request **out);

static const struct {
	const char *word;
	begin_call *begin;
	bool parents, directory, replace;
} words[] = {
	{ "stat", store_stat, false, false, false },
	{ "list", store_list, false, false, false },
	{ "mkdir", store_mkdir, false, false, false },
	{ "mkdirs", store_mkdir, true, false, false },
	{ "rename", store_rename, false, false, false },
	{ "replace", store_rename, false, false, true },
	{ "remove", store_remove, false, false, false },
	{ "rmdir", store_remove, false, true, false },
	{ "sum", store_sum, false, false, false },
};

struct answer {
	bool told;
	enum ftx_rc rc;
	char text[1024];
};

static void
add(struct answer *a, const char *text)
{
	size_t used = strlen(a->text);

	snprintf(a->text + used, sizeof(a->text) - used, " %s", text);
}

static void
on_done(void *owner, struct store_request *r, enum ftx_rc rc)
{
	struct answer *a = owner;
	char hex[DIGEST_HEX_SIZE];

	if (rc == FTX_OK && r->op == REQUEST_LIST) {
		for (size_t i = 0; i < r->page.count; i++)
			add(a, r->page.entries[i].name);
		if (r->page.more) {
			store_list_next(r);
			return;
		}
	}
	if (rc == FTX_OK && r->op == REQUEST_SUM)
		add(a, digest_hex(&r->digest, hex));
	if (rc == FTX_OK && r->op == REQUEST_STAT)
		add(a, r->meta.kind == META_FILE ? "file" : "other");
	a->told = true;
	a->rc = rc;
	store_request_close(r);
}

static void
request(struct store *s, struct worker *w, char **argv, struct answer *a)
{
	const struct request_spec spec = {
		.name = strcmp(argv[1], ".") == 0 ? "" : argv[1],
		.to = argv[2],
		.digests = true,
		.limits = { .entries = 2, .bytes = 4096 },
		.kind = DIGEST_XXH128,
		.length = UINT64_MAX,
	};
	struct request_spec own = spec;
	struct store_request *r;

	a->told = true;
	a->rc = FTX_USAGE;
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(words[i].word, argv[0]) != 0)
			continue;
		own.parents = words[i].parents;
		own.directory = words[i].directory;
		own.replace = words[i].replace;
		a->rc = words[i].begin(s, &own, on_done, a, &r);
		a->told = a->rc != FTX_OK;
	}
	while (!a->told || worker_held(w) > 0)
		worker_turn(w, true);
}

static enum ftx_rc
put(struct root *root, const char *name)
{
	const struct put_spec spec = {
		.name = name,
		.has_mode = true,
		.mode = 0444,
		.has_mtime = true,
		.mtime = { .tv_sec = 1000000000 },
	};
	static atomic_bool not_cancelled;
	char content[] = CONTENT;
	struct iovec iov = { content, strlen(content) };
	struct stage stage;
	enum ftx_rc rc = stage_open(&stage, root, &spec);

	if (rc != FTX_OK)
		return rc;
	rc = stage_write(&stage, &iov, 1, 0);
	if (rc == FTX_OK)
		rc = digest_of(DIGEST_XXH128, CONTENT, strlen(CONTENT), &stage.digest);
	if (rc == FTX_OK)
		return stage_publish(&stage, &not_cancelled);
	stage_discard(&stage);
	return rc;
}

static void
on_uploaded(void *owner, struct transfer *t, enum transfer_op op, enum ftx_rc rc)
{
	struct answer *a = owner;

	if (op == TRANSFER_OPEN && rc == FTX_OK && !t->published) {
		store_reserve(t, strlen(CONTENT));
		return;
	}
	if (op == TRANSFER_RESERVE && rc == FTX_OK) {
		struct chunk *chunk = chunk_get(worker_chunks(t->store->worker));

		if (chunk != NULL) {
			chunk->len = strlen(CONTENT);
			memcpy(chunk->data, CONTENT, chunk->len);
			store_write(t, chunk);
			return;
		}
		rc = FTX_NOMEM;
	}
	if (op == TRANSFER_WRITE && rc == FTX_OK) {
		store_commit(t);
		return;
	}
	if (t->published)
		add(a, t->superseded ? "superseded" : "published");
	a->told = true;
	a->rc = rc;
	store_drop(t);
	store_close(t);
}

static void
upload(struct root *root, struct store *s, struct worker *w, const char *name, struct answer *a)
{
	struct upload_terms terms = { .size = strlen(CONTENT), .keep = true };
	const struct put_spec spec = { .name = name, .upload = &terms };
	struct transfer *t;

	memcpy(terms.key.user, UPLOAD_ANONYMOUS, strlen(UPLOAD_ANONYMOUS));
	a->rc = root_keep_uploads(root);
	if (a->rc == FTX_OK)
		a->rc = store_put(s, &spec, on_uploaded, a, &t);
	a->told = a->rc != FTX_OK;
	while (!a->told || worker_held(w) > 0)
		worker_turn(w, true);
}

static unsigned
descriptors(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 64; fd++)
		n += fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
	return n;
}

int
main(int argc, char **argv)
{
	struct answer a = { .rc = FTX_OK };
	unsigned before = descriptors();
	struct worker *w = NULL;
	struct pool *pool = NULL;
	struct root *root = NULL;
	struct store *s = NULL;

	if (argc < 4)
		return 2;
	a.rc = worker_new(&w, NULL);
	if (a.rc == FTX_OK)
		a.rc = pool_new(&pool, POOL_THREADS_MIN);
	if (a.rc == FTX_OK)
		a.rc = root_open(&root, argv[1], ROOT_EXCLUSIVE, 0640);
	if (a.rc == FTX_OK)
		a.rc = store_local_new(&s, root, w, pool);
	if (a.rc == FTX_OK && strcmp(argv[2], "put") == 0)
		a.rc = put(root, argv[3]);
	else if (a.rc == FTX_OK && strcmp(argv[2], "upload") == 0)
		upload(root, s, w, argv[3], &a);
	else if (a.rc == FTX_OK)
		request(s, w, argv + 2, &a);
	store_free(s);
	root_close(root);
	pool_free(pool);
	worker_free(w);
	printf("%s%s%s\n", ftx_rc_name(a.rc), a.rc == FTX_OK ? a.text : "",
	    descriptors() == before ? "" : " (a descriptor is left)");
	return a.rc == FTX_OK ? 0 : 1;
}
