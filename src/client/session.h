/*
 * session.h - what the parts of a session share: items, places, links. Inner part of client.
 * Layer: client. Threads: the session's, but for run() of a job.
 * Tests: tests/system/test_commands.py
 *
 * An item goes from hand to hand: prepared (what is local, in the pool), ready (in the queue that
 * all links take from), running (on a link, or on a disk), waiting (for another try), ended. One
 * that stands for a whole tree becomes a struct tree, which brings items of its own.
 */
#ifndef CLIENT_SESSION_H
#define CLIENT_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>
#include <time.h>

#include "base/rc.h"
#include "client/ftxfer.h"
#include "client/local_file.h"
#include "loop/pool.h"
#include "loop/worker.h"
#include "net/addr.h"
#include "store/digest.h"
#include "store/path.h"
#include "store/request.h"
#include "v2/client.h"

#define SESSION_ADDRESSES   16
#define SESSION_CONNECTIONS 64
#define SESSION_QUEUE       2048 /* items that wait before the trees are let go on */
#define SESSION_TEXT        2048
#define SESSION_KEY         32

struct dial;
struct item;
struct link;
struct root;
struct store;
struct target;
struct tree;
struct visit;
struct way;

/* A local directory that items read from or write to; kept until the session ends. */
struct place {
	SLIST_ENTRY(place) link;
	struct root *root;   /* owned */
	struct store *store; /* owned */
	uint64_t dev, ino;   /* of the directory */
};

/* Each upload that was published before, and is gone, costs a question to get past it. */
#define ITEM_GENERATIONS 8

enum item_phase {
	ITEM_READY,   /* in the queue */
	ITEM_LOCAL,   /* in the pool, or with a store */
	ITEM_ASKING,  /* on a link: STAT of what is there, before it begins */
	ITEM_RUNNING, /* on a link */
	ITEM_WAITING, /* for another try */
	ITEM_TREE     /* its tree is at work */
};

/* What is to be found out of the other side before an item begins. */
enum item_look {
	LOOK_NONE,
	LOOK_INTO,    /* PUT: is the name there a directory? */
	LOOK_KIND,    /* is it a directory, to be walked through? */
	LOOK_CHANGED, /* RENAME, REMOVE after a lost answer: has it been done? */
	LOOK_WHY      /* it has failed: what is there that it could not be done? (item_why.c) */
};

TAILQ_HEAD(item_list, item);

struct item {
	TAILQ_ENTRY(item) link;   /* of the ready, or the waiting */
	TAILQ_ENTRY(item) all;    /* of all there are */
	struct ftxfer_session *s; /* borrowed */
	struct tree *tree;        /* borrowed: which brought it; NULL: the caller did */
	struct tree *own;         /* owned: which it has become */
	struct visit *lists;    /* borrowed: the tree's own, whose entries it brings; NULL: none */
	struct way *way;        /* borrowed: the tree's, which its end is told to; NULL: none */
	struct way *behind;     /* borrowed: likewise; GET: what is in its way goes before its name
				   is given. LIST: it only asks whether what is to come there can */
	struct link *on;        /* borrowed; while it runs there */
	struct link *cursor_on; /* borrowed; with cursor_len > 0: nobody else knows the cursor */
	struct place *place;    /* borrowed */
	unsigned long number;
	enum ftxfer_op op;
	unsigned flags;
	enum item_phase phase;
	enum item_look look;
	char *remote, *to, *local, *pattern; /* owned; local is as people know it */
	char *leaf;                          /* owned: its name in its place */
	int fd;
	bool local_is_dir;
	bool covers;     /* a tree whose names go beside those of other items, not below its own */
	bool compare;    /* the digests of both sides are compared first */
	bool sums_up;    /* it stands for others, which are counted and told of by themselves */
	bool makes_base; /* the directory that its tree needs before anything else */
	bool moving;     /* a PUT or GET was begun, and what is known of it is kept */
	uint8_t cursor[64];
	size_t cursor_len;
	char *asked;     /* owned: LOOK_WHY: the name that is looked at */
	uint16_t failed; /* LOOK_WHY: with what code */

	bool started, ended;
	bool unsure;     /* what it asked for may have been done */
	bool asked_anew; /* once, by another upload id, since something was spoilt */
	bool has_id;
	uint64_t failing_since, due, best; /* ms, ms, bytes */
	unsigned tries;
	uint8_t upload_id[V2_UPLOAD_ID_SIZE];
	unsigned generation;    /* of the id: what goes by the ones before was published long ago */
	struct v2_time earlier; /* when that was, by the server's clock, if generation > 0 */

	/* Of the local file, as it was found. */
	uint64_t size;
	struct timespec mtime;
	unsigned mode;
	uint64_t counted;           /* bytes of it that are in bytes_known */
	uint64_t moved;             /* at the end of the last try; of a listing: pages */
	struct digest_value digest; /* of the local file, when compared */

	struct pool_job job;
	struct local_file file; /* what the job found */
	struct root *root;      /* owned, until it is a place's */
	uint64_t dev, ino;      /* of that */
	enum ftx_rc job_rc;
	bool prepared;
	struct store_request *request; /* owned */
	struct v2_stream stream;
	struct event *stream_event; /* owned */
	bool stream_begun;          /* of a source: it cannot be read again */
	bool is_unread;             /* of a target: a pipe without a reader */
	bool is_whole;              /* of a target: all but its name, which waits */
	bool is_blocked;            /* of a target: what is in its way has stayed */
	union {
		struct v2_ask ask;
		struct v2_put_request put;
		struct v2_get_request get;
	} req;
};

struct link {
	struct ftxfer_session *s; /* borrowed */
	struct dial *dial;        /* owned */
	struct v2_client *client; /* borrowed: it frees itself */
	bool open;                /* its HELLO has come */
	bool parting;             /* it takes nothing new */
	unsigned running;         /* items on it */
	unsigned failures;
	uint64_t due; /* ms: not dialled before */
};

struct ftxfer_session {
	struct ftxfer_session_callbacks callbacks;
	void *arg;
	char *host, *congestion, *agent, *key_file; /* owned */
	uint16_t port;
	uint64_t connect_timeout, retry_time;
	unsigned file_mode;
	enum digest_kind kind;

	struct worker *worker; /* owned, as pool */
	struct pool *pool;
	SLIST_HEAD(place_list, place) places;
	struct link links[SESSION_CONNECTIONS];
	unsigned link_count;
	struct timer timer;
	struct mail soon; /* session_turn(), and on_idle */
	bool soon_posted, idle_told;

	struct item_list ready, waiting, all;
	struct item_list preparing; /* each goes on behind those that were added before */
	TAILQ_HEAD(tree_list, tree) trees;
	unsigned queued; /* ready, waiting or running */
	unsigned ahead;  /* directories that are visited, but for the first of each tree */
	unsigned long numbers;
	unsigned long added;    /* of these, by the caller */
	struct target *targets; /* owned: a table */
	size_t target_bytes;

	struct pool_job resolve;
	bool resolving, resolved;
	struct addr addrs[SESSION_ADDRESSES];
	size_t addr_count;
	enum ftx_rc resolve_rc;
	struct digest ids; /* owned: what each upload id begins with, if has_key */
	bool has_key;
	uint64_t max_file; /* bytes, as a server has said */
	uint64_t opened;   /* ms: when nothing had been asked for yet */
	bool has_began;    /* what follows is known */
	int64_t began_ms;  /* the same by the server's clock, since 1970; or a little earlier */

	uint64_t failing_since; /* ms: no connection since; 0: all is well */
	/* Why nothing can be done with this server any more; FTX_OK: nothing is known. */
	enum ftx_rc hopeless;
	enum v2_whose hopeless_whose;
	bool cancelled;
	struct ftxfer_totals totals;
};

/* session.c */
/* Looks at everything that could go on, later in this turn. */
void session_kick(struct ftxfer_session *s);
/* A server has said what it takes, and what time it is. */
void session_note_server(struct ftxfer_session *s, const struct v2_server_info *server);
enum session_when {
	SESSION_UNKNOWN,
	SESSION_BEFORE, /* this session */
	SESSION_SINCE
};
/* When that was, by the server's clock. */
enum session_when session_when(const struct ftxfer_session *s, const struct v2_time *t);

/* item_life.c */
struct item *item_new(struct ftxfer_session *s, enum ftxfer_op op, unsigned flags,
    const char *remote, const char *local) FTX_MUST_CHECK;
void item_free(struct item *item);
/* NULL for NULL; *ok becomes false where there is no memory. */
char *session_copy(const char *s, bool *ok);
/* Into the queue. */
void item_queue(struct item *item);
/* The same, before all that lists nothing: from a listing much else may follow. */
void item_queue_listing(struct item *item);
struct place *place_new(struct ftxfer_session *s, struct root *root) FTX_MUST_CHECK;
/* For a tree: nobody hears of it. */
bool item_only_asks(const struct item *item);
void session_event(struct item *item, struct ftxfer_event *e);
/* The end of an item: event, totals, its tree hears of it, and it is freed. */
void item_done(struct item *item, struct ftxfer_event *e);
void item_fail(struct item *item, enum ftxfer_status status, const char *text);
/* Nobody hears of it. */
void item_drop(struct item *item);
/* By what went wrong here. */
void item_fail_here(struct item *item, enum ftxfer_status status, enum ftx_rc rc);
void item_fail_outcome(struct item *item, const struct v2_outcome *o);
void item_skip(struct item *item, enum ftxfer_status status, const char *text);
/* Tries again after a while, or fails. */
void item_retry(struct item *item, const struct v2_outcome *o);
uint64_t session_backoff(unsigned tries);

/* item_content.c */
void item_run_put(struct item *item, struct v2_client *c);
void item_run_get(struct item *item, struct v2_client *c);
/* GET, whose content has come: what was in its way is gone, or has stayed. */
void item_come_behind(struct item *item, bool removed);

/* link.c */
void link_kick(struct link *l);
void link_close(struct link *l, bool at_once);

/* item.c */
/* On an open link. */
void item_run(struct item *item, struct link *l);
/* It has come back from its link. */
void item_leave(struct item *item);
/* It goes on with its next step, before others that wait. */
void item_go_on(struct item *item);
void item_retry_or_fail(struct item *item, const struct v2_outcome *o);
/* Of what it moves: so far, and of that what was there already. */
uint64_t item_moved(const struct item *item, uint64_t *resumed);
void item_cancel(struct item *item);

/* item_why.c */
/* The server's answer can be explained by what is there: that is asked, and then it fails. */
bool item_ask_why(struct item *item, const struct v2_outcome *o);
void item_run_why(struct item *item, struct v2_client *c);

/* prepare.c */
void item_prepare(struct item *item);
/* One that another process of this user makes again for the same upload, where that can be. */
void item_make_id(struct item *item);
/* One that nobody makes again. */
void item_draw_id(struct item *item);
/* In the pool: the user's secret that upload ids are made with. */
void session_read_key(struct ftxfer_session *s);
/* Puts a component behind a name. False: no memory. */
bool name_add(char **name, const char *component) FTX_MUST_CHECK;
/* The last component; never empty but for the root. */
const char *name_base(const char *name);

/* targets.c */
enum target_is {
	TARGET_OURS,
	TARGET_AGAIN, /* the same goes there already */
	TARGET_TAKEN, /* something else does; there is a sentence about it */
	TARGET_NO_MEMORY
};
#define TARGET_TEXT_AGAIN "it is named twice"
/* `source` is to go to that name, in the place or (NULL) on the server. */
enum target_is target_take(struct ftxfer_session *s, const struct place *place, const char *name,
    const char *source, char *text, size_t size);
/* PUT, GET: the item's own, which is known now. False: it has ended, since it cannot go there. */
bool item_take_target(struct item *item);
void targets_clear(struct ftxfer_session *s);

/* tree.c */
/* item->own; from here on the tree ends the item. */
void tree_begin(struct item *item);
void tree_kick(struct tree *t);
/* The directory that everything goes into is there, or cannot be. */
void tree_made_base(struct tree *t, bool ok, bool existed);
void tree_child_ended(struct tree *t, bool failed);
/* What was in the way is not there any more, or has stayed. */
void tree_way_ended(struct way *w, bool removed);
#define WAY_TEXT_STAYED "what is in the way could not be removed"
/* All of it has come, but for its name; or, with a status, what is to come there cannot. */
void tree_way_source(struct way *w, enum ftxfer_status status, const char *text);
/* The item that was to come has ended, by itself. */
void tree_way_lost(struct way *w);
/* A page of what it has asked for; more pages follow. False: no memory, or too many. */
bool tree_take_page(struct visit *v, struct v2_ask *ask);
/* There is more of it: whether it is asked for now. Else the item is of no use any more. */
bool tree_wants_more(struct visit *v);
/* That directory is not there, and that is no reason to fail: the tree would make it. */
bool tree_may_lack(struct visit *v);
/* What has been listed so far does not count: it begins again. */
void tree_list_again(struct visit *v);
/* The last page is there, or, with a sentence, it failed; the item is gone. */
void tree_listed(struct visit *v, enum ftxfer_status status, const char *text);
void tree_free(struct tree *t);
void tree_cancel(struct tree *t);

/* outcome.c */
enum ftxfer_status outcome_status(const struct v2_outcome *o);

/* words.c */
/* A sentence about it. */
void outcome_text(const struct item *item, const struct v2_outcome *o, char *text, size_t size);
/* Of what went wrong here. */
void here_text(const struct item *item, enum ftx_rc rc, char *text, size_t size);
/* Of a connection, with where it leads to; FTX_OK: it is there. */
void connection_text(const struct ftxfer_session *s, enum ftx_rc rc, char *text, size_t size);

#endif
