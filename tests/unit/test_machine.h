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
extern char trace[64]; /* a letter for each action */
extern int fails;

/* A connection by TCP, with limits. */
void machine_set_up(void);
/* Its conversation begins in that state. */
void machine_start_in(enum state first);
/* It has ended, for this reason. */
void machine_failed(enum ftx_rc why);
/* Time passes, and what is due happens. */
void elapse(uint64_t ms);

void add_deadline_cases(Suite *s);

#endif
