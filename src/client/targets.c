#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"
#include "base/log.h"
#include "client/session.h"

/*
 * Where that goes which a session is asked for: no two things go to one name, or the second would
 * be written over the first. Remembered is what was named, and what a pattern stands for, but not
 * what is in a tree: names within two trees are the same only where the trees' own are. (Of a tree
 * that goes into a directory beside other things it is the first names: item->covers.)
 */

#define TARGETS_BYTES ((size_t)256 * 1024 * 1024) /* at most: a pattern may match for ever */

struct target_key {
	uint64_t dev, ino; /* of the directory; 0: it is on the server */
	char name[PATH_NAME_MAX + 1];
};

struct target {
	UT_hash_handle hh;
	bool unlisted;
	char *source; /* borrowed: behind the key */
	char key[];
};

/* Its length. A name that is none has no other spelling: somebody else will say so. */
static size_t
make_key(struct target_key *key, const struct place *place, const char *name)
{
	static const struct path_rules any = { .alphabet = PATH_BYTES };
	size_t len = strlen(name);

	memset(key, 0, offsetof(struct target_key, name));
	if (place != NULL) {
		key->dev = place->dev;
		key->ino = place->ino;
	}
	if (len >= sizeof(key->name))
		len = sizeof(key->name) - 1;
	if (place != NULL ||
	    path_normalize(&any, name, len, key->name, sizeof(key->name)) != FTX_OK) {
		memcpy(key->name, name, len);
		key->name[len] = '\0';
	}
	return offsetof(struct target_key, name) + strlen(key->name);
}

static enum target_is
target_add(struct ftxfer_session *s, const struct target_key *key, size_t len, const char *source)
{
	size_t size = sizeof(struct target) + len + strlen(source) + 1;
	struct target *t = s->target_bytes + size <= TARGETS_BYTES ? calloc(1, size) : NULL;

	if (t == NULL)
		return TARGET_NO_MEMORY;
	memcpy(t->key, key, len);
	t->source = t->key + len;
	memcpy(t->source, source, strlen(source) + 1);
	HASH_ADD_KEYPTR(hh, s->targets, t->key, len, t);
	if (t->unlisted) {
		free(t);
		return TARGET_NO_MEMORY;
	}
	s->target_bytes += size;
	return TARGET_OURS;
}

enum target_is
target_take(struct ftxfer_session *s, const struct place *place, const char *name,
    const char *source, char *text, size_t size)
{
	char mine[LOG_QUOTE_SIZE] = "it", other[LOG_QUOTE_SIZE];
	struct target_key key;
	size_t len = make_key(&key, place, name);
	struct target *t;

	HASH_FIND(hh, s->targets, &key, len, t);
	if (t == NULL)
		return target_add(s, &key, len, source);
	if (strcmp(t->source, source) == 0)
		return TARGET_AGAIN;
	/* What is fetched goes by its local name: that is the one which both have. */
	if (place != NULL)
		log_quote(mine, sizeof(mine), source, strlen(source));
	log_quote(other, sizeof(other), t->source, strlen(t->source));
	snprintf(text, size, "%s would be written over %s, which this command takes there, too",
	    mine, other);
	return TARGET_TAKEN;
}

bool
item_take_target(struct item *item)
{
	bool up = item->op == FTXFER_OP_PUT;
	char text[SESSION_TEXT];

	if (item->local == NULL)
		return true;
	switch (target_take(item->s, up ? NULL : item->place, up ? item->remote : item->leaf,
	    up ? item->local : item->remote, text, sizeof(text))) {
	case TARGET_OURS:
		return true;
	case TARGET_AGAIN:
		item_skip(item, FTXFER_OK, TARGET_TEXT_AGAIN);
		break;
	case TARGET_TAKEN:
		item_fail(item, FTXFER_CANNOT_CREATE, text);
		break;
	default:
		item_fail(item, FTXFER_INTERNAL, ftx_rc_text(FTX_NOMEM));
		break;
	}
	return false;
}

void
targets_clear(struct ftxfer_session *s)
{
	struct target *t = s->targets, *next;

	HASH_CLEAR(hh, s->targets); /* of the table: what was in it is a list still */
	for (; t != NULL; t = next) {
		next = t->hh.next;
		free(t);
	}
	s->target_bytes = 0;
}
