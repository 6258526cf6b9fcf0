/*
 * test_v2_client.h - what the parts of the program test_v2_client share: content, who asks, and
 * what is expected at the end.
 */
#ifndef UNIT_TEST_V2_CLIENT_H
#define UNIT_TEST_V2_CLIENT_H

#include "unit/v2_peer.h"
#include "v2/result.h"

#define BIG        (700 * 1024 + 5)
#define NO_VERSION ((struct v2_slice){ NULL, 0 })

extern char *content; /* BIG bytes, the same each time */
extern struct asker asker, other;

/* v2_setup() and v2_teardown(), and the content. */
void content_setup(void);
void content_teardown(void);

void expect_outcome(const struct asker *a, enum ftx_rc rc, enum v2_whose whose);
/* The client has left a server that broke the protocol, and the asker has heard so. */
void expect_breach(enum ftx_rc rc);

void add_ask_cases(Suite *s);
void add_put_cases(Suite *s);
void add_stream_cases(Suite *s);
void add_get_cases(Suite *s);
void add_resume_cases(Suite *s);
void add_part_cases(Suite *s);
void add_whole_cases(Suite *s);
void add_window_cases(Suite *s);

#endif
