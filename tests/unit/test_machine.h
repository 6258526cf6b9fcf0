/*
 * test_machine.h - what the parts of the program test_machine share: a table made for it, and the
 * one conversation that runs it.
 */
#ifndef UNIT_TEST_MACHINE_H
#define UNIT_TEST_MACHINE_H

#include "net/machine.h"
#include "unit/net_pair.h"

enum state { WAIT_TWO, OWN, SENDING, BULK, CLOSING, QUIET };

enum event { ON_GO = MACHINE_EVENTS, ON_ONE, ON_TWO, ON_THREE, ON_FOUR, ON_UNKNOWN };

extern struct machine machine;
extern char trace[64]; /* a letter for each action, as many as there is room for */
extern int fails;

/* A connection by TCP, with limits. */
void machine_set_up(void);
/* Its conversation begins in that state. */
void machine_start_in(enum state first);
/* The actions were these. */
void traced(const char *want);
/* It has ended, for this reason. */
void machine_failed(enum ftx_rc why);
/* All anew, with these limits, for another connection. */
void machine_restart(struct conn_limits with);
/* Starts a conversation whose state has the deadlines of content: BULK. */
void to_bulk(void);
/* Time passes, and what is due happens. */
void elapse(uint64_t ms);
/* The peer's kernel does not wait with its next acknowledgements (tcp(7), TCP_QUICKACK). */
void peer_acks_at_once(void);

void add_end_cases(Suite *s);
void add_deadline_cases(Suite *s);
void add_rate_cases(Suite *s);

#endif
