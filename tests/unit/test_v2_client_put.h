/*
 * test_v2_client_put.h - what the tests of uploads share.
 */
#ifndef UNIT_TEST_V2_CLIENT_PUT_H
#define UNIT_TEST_V2_CLIENT_PUT_H

#include "unit/test_v2_client.h"

/* Not handed in yet: of root/big, which is the content, and root/small, 5,000 bytes of it. */
extern struct v2_put_request put, second;

void put_setup(void);
void put_teardown(void);

/* The head of a PUT; its id. */
uint16_t take_head(struct v2_put *m);
uint16_t take_big_head(void);
/* The content from `from` to `to`, in as many frames as it takes. */
void take_content(uint16_t id, size_t from, size_t to);
/* END, with the digest of the first len bytes; or with ABORT. */
void take_end(uint16_t id, size_t len);
void take_abort(uint16_t id);
void say_go(uint16_t id, uint64_t offset);
void say_have(uint16_t id, uint64_t offset);

#endif
