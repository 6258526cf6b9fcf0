/*
 * registry.h - who is transferring which name: one upload of it, or any number of downloads.
 * Layer: core. Threads: any; the one lock that workers share.
 * Tests: tests/unit/test_registry.c
 */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include "base/rc.h"

struct registry;
struct registry_claim;

enum registry_use { REGISTRY_UPLOAD, REGISTRY_DOWNLOAD };

enum ftx_rc registry_new(struct registry **out) FTX_MUST_CHECK;
/* All claims must have been released. */
void registry_free(struct registry *r);

/*
 * Claims a normalised name. FTX_BUSY: an upload finds any other use, a download finds an upload.
 * The claim is the caller's, as a rule its transfer's (transfer_set_claim()).
 */
enum ftx_rc registry_claim(struct registry *r, const char *name, enum registry_use use,
    struct registry_claim **out) FTX_MUST_CHECK;
/* Of the type that transfer_set_claim() wants. NULL is allowed. */
void registry_release(void *claim);

#endif
