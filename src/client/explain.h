/*
 * explain.h - what a transfer's end means to a person: a status and a sentence that says what to
 * do.
 * Layer: client. Pure. Threads: any.
 * Tests: tests/unit/test_explain.c
 */
#ifndef CLIENT_EXPLAIN_H
#define CLIENT_EXPLAIN_H

#include <stddef.h>

#include "base/rc.h"
#include "client/ftxfer.h"
#include "v1/client.h"

/* Writes the sentence (without a full stop) into text. */
enum ftxfer_status explain(
    const struct ftxfer_spec *spec, enum ftx_rc rc, enum v1_side side, char *text, size_t size);

#endif
