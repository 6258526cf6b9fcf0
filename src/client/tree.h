/*
 * tree.h - one directory at a time of a tree that is walked through, here, there, or on both sides.
 * Inner part of client.
 * Layer: client. Threads: the session's.
 * Tests: tests/system/test_commands.py
 *
 * The directories that are still to come are a stack of names; of the one at hand all entries of
 * both sides are kept, in order, and handed on as the session's queue has room for them. So a tree
 * costs its largest directory and the names of the directories beside its path, which are bounded.
 */
#ifndef CLIENT_TREE_H
#define CLIENT_TREE_H

#include "client/session.h"

#define TREE_BYTES ((size_t)256 * 1024 * 1024) /* of names, at most: a server may list for ever */
#define TREE_DEPTH 256U

struct entry {
	char *name; /* owned */
	enum ftxfer_kind kind;
	uint64_t size;
	struct timespec mtime;
	unsigned mode;
};

struct entries {
	struct entry *list; /* owned */
	size_t count, room, next;
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

enum tree_state {
	TREE_NEXT,     /* takes the next directory */
	TREE_MAKING,   /* it is being made, here or there */
	TREE_LISTING,  /* its entries are asked for */
	TREE_EMITTING, /* and handed on */
	TREE_REMOVING  /* the directories of it, from below; then it ends */
};

struct tree {
	TAILQ_ENTRY(tree) link;
	struct item *item;        /* borrowed: whose it is */
	struct ftxfer_session *s; /* borrowed */
	enum ftxfer_op op;
	unsigned flags;
	char *here, *there; /* owned: its base in the place, and on the server */
	bool lists_here, lists_there;
	bool cancelled;

	enum tree_state state;
	struct dir *dirs; /* owned; the last one comes next */
	size_t dir_count, dir_room, bytes;
	struct dir at;
	struct entries entries_here, entries_there;
	unsigned listing; /* sides that have not ended */
	bool broken;      /* one of them failed: the directory is left out */

	struct store_request *request; /* owned: on this side */
	unsigned children;             /* items that have not ended */
	unsigned failed;
	uint64_t matched;          /* of a pattern */
	enum ftxfer_status status; /* why it was given up */
	char why[128];

	/* Doomed directories, which go when they are empty. */
	struct dir *emptied; /* owned */
	size_t emptied_count, emptied_room;
};

/* tree_list.c */
bool entries_add(struct tree *t, struct entries *e, const struct entry *entry) FTX_MUST_CHECK;
void entries_sort(struct entries *e);
void entries_clear(struct tree *t, struct entries *e);
/* The entry of that name, or NULL. The list is sorted. */
struct entry *entries_find(const struct entries *e, const char *name);
/* Begins to list the directory at hand on this side, and calls tree_listed(). */
void tree_list_here(struct tree *t);
void tree_list_there(struct tree *t);

/* tree_emit.c */
/* What becomes of one name of the directory at hand: one of a and b, or both. False: no memory. */
bool tree_emit(struct tree *t, const struct entry *here, const struct entry *there);
/* A name of the directory at hand goes, or, if that is "", the directory itself. */
bool tree_remove(struct tree *t, const char *name, bool is_dir);

/* tree.c */
/* A directory in the one at hand; what of dir is not its name. */
bool tree_push(struct tree *t, const char *name, struct dir dir) FTX_MUST_CHECK;
/* What is removed is here, not there. */
bool tree_removes_here(const struct tree *t);
/* An item of the tree's for that entry; its names are those of the entry. NULL: no memory. */
struct item *tree_child(struct tree *t, enum ftxfer_op op, unsigned flags, const char *name);
/* Both names of it, for people and events: base/rel. NULL: no memory. The caller's. */
char *tree_join(const char *base, const char *rel, const char *name);

#endif
