/*
 * test_v2_server.h - what the parts of the program test_v2_server share: a server, to which the
 * test is the client.
 */
#ifndef UNIT_TEST_V2_SERVER_H
#define UNIT_TEST_V2_SERVER_H

#include "pair/pair_stage.h"
#include "unit/unit.h"
#include "v2/message.h"

extern struct pair_stage st;
extern bool holds_turns; /* nothing gets on, but by turns of the loop that the test makes */

void v2_server_set_up(void);
void v2_server_tear_down(void);
/* The connection is open; in_memory: so is the root said to be. */
void begin(bool in_memory);

void send_all(const void *p, size_t len);
/* Of that size, and has its GO. */
void say_put(uint16_t id, const char *name, uint64_t size);
void say_end(uint16_t id, size_t size);
/* The next message that has come; false: none has. */
bool next_message(struct v2_frame *f);
/* It is that one; but for WORKING, which tells nothing here. */
void expect(enum v2_type type, uint16_t id);

void add_turn_cases(Suite *s);

#endif
