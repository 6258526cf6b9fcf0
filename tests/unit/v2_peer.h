/*
 * v2_peer.h - what the tests of the client's half share: a client on one end of a socketpair(2),
 * the server's part in the test's hands, a local store on the directory `root`, and a clock that
 * stands still.
 */
#ifndef UNIT_V2_PEER_H
#define UNIT_V2_PEER_H

#include <stdlib.h>

#include "loop/worker.h"
#include "net/conn.h"
#include "store/store.h"
#include "unit/unit.h"
#include "v2/client.h"

extern struct worker *worker;
extern struct store *store;
extern struct v2_client *client; /* NULL once on_close came */
extern int peer;                 /* -1: closed */

/* What the client's owner heard. */
struct client_heard {
	int opens, readies, goodbyes, closes;
	uint32_t retry_after;
	struct v2_outcome end;
};
extern struct client_heard heard;

/* The owner of one request, and what it heard. */
struct asker {
	int times;
	struct v2_outcome o;
	char text[64];
	/* With a request that is no struct v2_ask. */
	void (*then)(struct asker *a, struct v2_request *r);
};
void on_asked(void *arg, struct v2_request *r, const struct v2_outcome *o);
/* The members of a request that its owner fills in. */
#define ASKED_BY(asker) .r = { .on_done = on_asked, .arg = (asker) }

void v2_setup(void);    /* a client that has said HELLO; nothing is answered yet */
void v2_teardown(void); /* looks that nothing is left */
/* Another connection with the same store; the one before must be gone. */
void v2_connect(void);
extern uint64_t peer_features; /* that HELLO lists; 0: it does not speak of them */
/* The server's preface and HELLO, with these limits; the client's are taken first. */
void peer_greet(uint16_t max_requests, uint32_t max_now);
extern uint32_t peer_max_data; /* 0: 65536 */
extern uint64_t peer_max_file; /* what it says then of files; 0: nothing */
/* Takes the client's, and says nothing. */
void peer_skip_hello(void);

/* Runs the loop until nothing happens any more. */
void settle(void);
void elapse(uint64_t ms);

void peer_send(const void *p, size_t len);
/* From here on what is sent is gathered; false: it goes, all at once as far as the kernel likes. */
void peer_hold(bool hold);
/* The next frame that has come, of that type; payload and all is good until the next call. */
const struct v2_frame *peer_takes(enum v2_type type);
/* Of the next frame; one must be there. */
enum v2_type peer_next_type(void);
/* All frames of DATA that come; bytes of content in them. */
uint64_t peer_takes_data(void);
/* From here on what comes stays in the kernel. */
void peer_stop_reading(bool stop);
/* Nothing has come. */
void peer_takes_nothing(void);
/* The client has closed, or reset. */
bool peer_sees_end(void);

/* Sends a message: PEER_SAYS(put_ok, 0, id, .has = ...). */
#define PEER_SAYS(name, type, flags, id, ...)                                               \
	do {                                                                                \
		static uint8_t peer_frame[V2_HEADER_SIZE + V2_CONTROL_MAX];                 \
		struct type peer_m = { __VA_ARGS__ };                                       \
		size_t peer_len =                                                           \
		    v2_##name##_encode(&peer_m, flags, id, peer_frame, sizeof(peer_frame)); \
		ck_assert_uint_gt(peer_len, 0);                                             \
		peer_send(peer_frame, peer_len);                                            \
		settle();                                                                   \
	} while (0)
void peer_says_data(uint16_t id, const void *p, size_t len);
void peer_says_error(uint16_t id, uint16_t code);
/* OK of a PUT. */
void peer_says_receipt(uint16_t id, const void *content, size_t len);

struct v2_slice slice(const char *s);
struct digest_value sum_of(enum digest_kind kind, const void *p, size_t len);
#define SOME_VERSION                           \
	{                                      \
		(const uint8_t *)"version1", 8 \
	}

#endif
