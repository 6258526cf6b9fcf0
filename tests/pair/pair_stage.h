/*
 * pair_stage.h - what a scripted case runs on: one end of a socketpair(2) with a real half of
 * protocol 1 on it, the other end in the script's hands, a storage root of its own, and a clock
 * that only the script moves. The fuzzer of sessions (tests/fuzz) plays on the same stage.
 */
#ifndef PAIR_STAGE_H
#define PAIR_STAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"
#include "net/conn.h"
#include "v1/client.h"
#include "v1/server.h"
#include "v2/server.h"

struct pool;
struct registry;
struct registry_claim;
struct root;
struct worker;

struct pair_stage {
	char dir[64]; /* the storage root, removed at the end */
	struct worker *worker;
	struct pool *pool;
	struct root *root;
	struct registry *registry;
	struct registry_claim *held; /* HOLD: by somebody else */
	struct v1_server server;
	struct v2_server server2;
	struct v2s_conn *v2; /* of version 2, while its connection lasts */
	struct v1_client client;
	struct conn_limits limits;
	char remote[512], local[512];
	/* How stage_settle() goes about it; a test with a pool of its own sets its own way. */
	void (*settle)(struct pair_stage *st);
	int socket_buffer; /* bytes: SO_SNDBUF of both ends; 0: as they are */

	int peer;          /* the script's end; -1: closed */
	struct conn *conn; /* NULL: none yet, or closed */
	bool closed;
	enum ftx_rc why; /* once closed */
	/* Another connection of version 2, set aside: the same of that. */
	struct {
		int peer;
		struct conn *conn;
		struct v2s_conn *v2;
		bool closed;
		enum ftx_rc why;
	} other;
	bool done; /* the client's half has ended, with: */
	enum ftx_rc done_rc;
	enum v1_side done_side;
	int cancel_at; /* enum v1_notice: the client's owner ends it within that one; -1: none */
};

/* A fresh root (with these flags: store/root.h), worker, pool. Aborts when it cannot. */
void stage_up_with(struct pair_stage *st, unsigned root_flags);
/* Ends and frees all but the directory and what is in it. */
void stage_stop(struct pair_stage *st);
void stage_remove_dir(struct pair_stage *st);
/* The stage of a script: a daemon's root, and everything removed at the end. */
void stage_up(struct pair_stage *st);
void stage_down(struct pair_stage *st);

/* Two connected sockets, the second one for a half. */
void stage_socketpair(const struct pair_stage *st, int fds[2]);
void stage_serve(struct pair_stage *st, bool upload);
void stage_serve_v2(struct pair_stage *st);
/* The connection is set aside, and what was set aside before, if anything, takes its place. */
void stage_switch(struct pair_stage *st);
void stage_client(struct pair_stage *st, bool upload, const char *remote, const char *local);
/* Runs the loop until nothing happens any more. */
void stage_settle(struct pair_stage *st);
/* Moves the clock and fires what became due. */
void stage_elapse(struct pair_stage *st, uint64_t ms);
/* And without settling. */
void stage_pass_time(struct pair_stage *st, uint64_t ms);
/* The name of the last state that was entered. */
const char *stage_state(void);
/* Names in the root that are not in the script's hands: stage files. */
unsigned stage_strays(const struct pair_stage *st);

#endif
