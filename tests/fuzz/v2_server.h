/*
 * v2_server.h - the server that fuzz_v2_client plays: what it can say, right or wrong.
 */
#ifndef FUZZ_V2_SERVER_H
#define FUZZ_V2_SERVER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cursor.h"
#include "fuzz/check.h"

#define PICK(table, k) ((table)[(k) % (sizeof(table) / sizeof((table)[0]))])

#define CONTENT 300000
#define LOCAL   200000 /* of it: the client's local file */

extern uint8_t content[CONTENT]; /* that all files have, or a part of it */

/* What the play does with the bytes. */
void tell(const void *p, size_t len);
void settle(void);

/* Nothing has been said yet. */
void server_begin(void);
/* Preface and HELLO. */
void server_greet(void);
/* Which, id, k: a message. */
void server_say(struct cursor *in);
/* Id, k: DATA with the next bytes of the content. */
void server_say_data(struct cursor *in);

#endif
