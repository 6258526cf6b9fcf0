/*
 * target.h - what a fuzz target defines, and who calls it: libFuzzer, or replay.c.
 */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stddef.h>
#include <stdint.h>

/* Once, before all else. 0. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
/* Any bytes; aborts when something is wrong. 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
