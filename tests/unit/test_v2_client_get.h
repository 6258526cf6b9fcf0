/*
 * test_v2_client_get.h - what the tests of downloads share.
 */
#ifndef UNIT_TEST_V2_CLIENT_GET_H
#define UNIT_TEST_V2_CLIENT_GET_H

#include "unit/test_v2_client.h"

extern struct v2_get_request get; /* not handed in yet: into root/file */

void get_setup(void);
void get_teardown(void);

/* The GET, and its id. */
uint16_t take_get(struct v2_get *m);
/* Hands it in, and says FILE without a digest; its id. */
uint16_t begin_get(uint64_t size);
/* FILE; with the digest that is stored, if sum is one. */
void say_file(
    uint16_t id, uint8_t flags, uint64_t size, uint64_t offset, const struct digest_value *sum);
/* The content from `from` to `to`. */
void say_content(uint16_t id, size_t from, size_t to);
/* END, with the digest of these bytes. */
void say_end(uint16_t id, const char *p, size_t len);

/* There is no file, and nothing that would become one. */
void expect_nothing_there(void);
/* expect_breach(), and that. */
void expect_left(enum ftx_rc rc);

#endif
