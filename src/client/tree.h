/*
 * tree.h - a tree that is walked through, here, there, or on both sides. Inner part of client.
 * Layer: client. Threads: the session's.
 * Tests: tests/system/test_commands.py, tests/system/test_rounds.py
 *
 * The directories that are still to come are a stack of names. Some of them are visited at once, so
 * that a line which takes its time is waited for once and not by each: they are listed side by
 * side, and handed on one after the other, as the session's queue has room. Of the one at hand all
 * entries of both sides are kept, in order; what is copied from one side, and cannot be there on
 * the other, is handed on page by page, and kept only if it comes from the server, who may name it
 * again. Of those behind it one page is kept. So a tree costs its largest directory, a page of each
 * that is ahead, and the names of the directories beside their paths, all of which is bounded. What
 * is only listed has an order of its own: tree_order.c.
 */
#ifndef CLIENT_TREE_H
#define CLIENT_TREE_H

#include "client/session.h"

#define TREE_BYTES ((size_t)256 * 1024 * 1024) /* of names, at most: a server may list for ever */
#define TREE_DEPTH 256U
#define TREE_AHEAD 64U /* directories that are visited behind the first ones, of a session */
/* Items of a tree that have not ended, about. */
#define TREE_CHILDREN 8192U
#define TREE_WAYS     64U /* names of a tree that wait for something to be out of their way */
/*
 * Of these, with a directory there in it: each lists page by page, and a server is sure to keep
 * only so many listings that may go on.
 */
#define TREE_WAYS_LISTED 4U

struct entry {
	char *name; /* owned */
	enum ftxfer_kind kind;
	uint64_t size;
	struct timespec mtime;
	unsigned mode;
};

struct entries {
	struct entry *list; /* owned */
	size_t count, room, next, bytes;
	uint32_t *slots;   /* owned: a hash table of the names: where in the list, from 1; 0: no */
	size_t slot_count; /* 0: it is not made yet */
};

/* A directory that is still to come. */
struct dir {
	char *name;        /* owned: beneath the tree's base */
	const char *rest;  /* of a pattern, borrowed: what is below; NULL: all of it */
	unsigned depth;    /* directories above it */
	unsigned mode;     /* of the one that it is made after; 0: not known */
	bool is_new_there; /* it is being made there: there is nothing to list */
	bool is_new_here;
	bool doomed; /* it is to go, with all that is in it: at the side that is changed */
};

TAILQ_HEAD(visits, visit);

enum way_state {
	WAY_LOOKING,  /* whether what is to come can */
	WAY_FOUND,    /* it can */
	WAY_REMOVING, /* what is in the way */
	WAY_ENDED
};

/* SYNC: a name whose place at the other side is taken by what is removed first. */
struct way {
	TAILQ_ENTRY(way) link;
	struct tree *tree;     /* borrowed */
	struct dir at;         /* where it is; its name owned */
	struct entry from;     /* what is to come; its name owned */
	enum ftxfer_kind kind; /* of what is in the way */
	enum way_state state;
	bool removed;              /* it was */
	bool is_listed;            /* it is a directory there */
	struct transfer *source;   /* owned: of a local file: it is being opened */
	struct store_request *in;  /* owned: of a local directory */
	struct item *asks;         /* borrowed: of a directory there */
	struct item *comes;        /* borrowed: of a file there: the item that waits for the way */
	bool comes_behind;         /* there is or was one */
	enum ftxfer_status status; /* why what is to come cannot */
	char why[128];
};

TAILQ_HEAD(ways, way);

/* A directory at hand, or soon. */
struct visit {
	TAILQ_ENTRY(visit) link;
	struct tree *tree; /* borrowed */
	struct dir dir;    /* its name owned */
	struct entries here, there;
	struct store_request *request; /* owned: on this side */
	unsigned listing;              /* sides that have not ended */
	bool listed;
	bool early;      /* what is there can be handed on before all of it is listed */
	bool broken;     /* one of them failed: what is left of the directory is left out */
	bool waits_here; /* with its next page, until it is the first */
	bool anew_there; /* it has more than a page: it is listed again, when it is the first */

	/* LIST: */
	struct visit *above; /* borrowed: which it is in; NULL: none */
	struct visits inner; /* owned: those in it that were begun, and have not been told of */
	size_t next_inner;   /* behind the entry that was begun last */
	bool told;           /* of its own entries */
};

struct tree {
	TAILQ_ENTRY(tree) link;
	struct item *item;        /* borrowed: whose it is */
	struct ftxfer_session *s; /* borrowed */
	enum ftxfer_op op;
	unsigned flags;
	char *here, *there; /* owned: its base in the place, and on the server */
	bool lists_here, lists_there;
	/* Of a pattern all that matches, else the first names: others may go to the same ones. */
	bool takes_targets;
	bool cancelled;

	bool making_base;
	struct dir *dirs; /* owned; the last one comes next */
	size_t dir_count, dir_room, bytes;
	struct visits visits; /* owned; the first one is handed on */
	unsigned visit_count;
	bool emitting;         /* it has begun */
	size_t pushed;         /* the first of dirs that it has brought */
	struct visit *telling; /* LIST: borrowed: whose turn it is */
	struct ways ways;      /* owned */
	unsigned way_count, ways_listed;
	struct dir at; /* what names are in; its own is borrowed, and NULL in the tree's root */

	unsigned children; /* items that have not ended */
	unsigned failed;
	uint64_t matched;  /* of a pattern */
	uint64_t left_out; /* matched, but a directory that was not asked for */
	struct entry only; /* what matched, where one may: its name owned, beneath the base */
	enum ftxfer_status status; /* why it was given up */
	char why[128];

	/* Doomed directories, which go when they are empty. */
	struct dir *emptied; /* owned */
	size_t emptied_count, emptied_room;
};

/* tree_list.c */
void entries_sort(struct tree *t, struct entries *e);
void entries_clear(struct tree *t, struct entries *e);
/* Drops the others; where `at` is then. */
size_t entries_keep_directories(struct tree *t, struct entries *e, size_t at);
/* Begins to list it on that side, and calls tree_listed(). */
void tree_list_here(struct visit *v);
void tree_list_there(struct visit *v);
/* It is the first now: goes on with what has had to wait for that. */
void tree_list_on(struct visit *v);

/* tree_visit.c */
/* Begins to visit what comes next. */
void tree_visit_next(struct tree *t);
/* Hands on what there is of the first one. True: all of it, and it is gone. */
bool tree_visit_emit(struct tree *t, struct visit *v);
void tree_visits_clear(struct tree *t);
void tree_visits_cancel(struct tree *t);
bool tree_is_first(const struct visit *v);
/* LIST: begins to visit a directory in that one. NULL: no memory, or it is too deep. */
struct visit *tree_visit_inner(struct visit *v, const char *name);
void tree_visit_free(struct visit *v);

/* tree_order.c */
/* LIST: tells what there is, in order. True: that was all. */
bool tree_tell(struct tree *t);

/* tree_emit.c */
/* What becomes of one name of the directory at hand: one of a and b, or both. False: no memory. */
bool tree_emit(struct tree *t, const struct entry *here, const struct entry *there);
/* The tree's own directory is not there, and would be made (DRY_RUN). False: no memory. */
bool tree_would_make(struct tree *t);
/* The name, in the directory at hand, is new at the side that is changed. */
bool tree_emit_new(struct tree *t, const struct entry *from);
bool tree_fail(struct tree *t, const char *name, enum ftxfer_status status, const char *why);
bool tree_skip(struct tree *t, const char *name, enum ftxfer_status status, const char *why);
const char *tree_why_skipped(enum ftxfer_kind kind);
/* A file there is fetched; way: when that is clear, or NULL. */
bool tree_get(struct tree *t, const struct entry *e, struct way *way);
/* What would be done. */
bool tree_dry(struct tree *t, enum ftxfer_op op, const char *name, uint64_t bytes);
/* The item takes its attributes from what was found. */
void tree_describe(struct item *item, const struct entry *e);

/* tree_pattern.c */
/* One name of the directory at hand, held against the pattern. False: no memory. */
bool tree_match(struct tree *t, const struct entry *e);
/* The pattern has been looked for everywhere: the one file that it stands for is fetched. */
void tree_emit_only(struct tree *t);

/* tree_remove.c */
/* A name of the directory at hand goes, or, if that is "", the directory itself. */
bool tree_remove(struct tree *t, const char *name, bool is_dir);
/* The same, with all that is in it. */
bool tree_doom(struct tree *t, const struct entry *e);
/* A child of the tree's: removes what has its name, at the side that is changed. */
void tree_begin_removal(struct item *item);
/* The deepest directories that are left, all of them side by side; none: the tree ends. */
void tree_remove_emptied(struct tree *t);

/* tree_way.c */
/* Sees to it that `from` can come, and removes `to` then, for it to come. False: no memory. */
bool tree_clear_way(struct tree *t, const struct entry *from, const struct entry *to);
/* Each takes its next step. */
void tree_take_ways(struct tree *t);
void tree_drop_ways(struct tree *t);

/* tree.c */
/* It was cancelled, or given up: nothing of it begins any more. */
bool tree_is_stopped(const struct tree *t);
/* All that it has begun has ended: so does its item. */
void tree_finish(struct tree *t);
/* The tree ends when what it has begun has ended. */
void tree_give_up(struct tree *t, enum ftxfer_status status, const char *text);
/* One more, of those that go when they are empty. False: no memory. */
bool tree_push_emptied(struct tree *t, struct dir dir) FTX_MUST_CHECK;
/* A directory in the one at hand; what of dir is not its name. */
bool tree_push(struct tree *t, const char *name, struct dir dir) FTX_MUST_CHECK;
/* What is removed is here, not there. */
bool tree_removes_here(const struct tree *t);
/*
 * There is room in the queue, or it needs none: what is removed here is in none. That goes on in
 * any case, since a download may wait for its end that holds up others.
 */
bool tree_has_queue(const struct tree *t);
/* An item of the tree's for that entry; its names are those of the entry. NULL: no memory. */
struct item *tree_child(struct tree *t, enum ftxfer_op op, unsigned flags, const char *name);
/* Both names of it, for people and events: base/rel. NULL: no memory. The caller's. */
char *tree_join(const char *base, const char *rel, const char *name);

#endif
