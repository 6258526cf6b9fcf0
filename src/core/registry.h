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
 * Claims a normalised name. FTX_BUSY: a second upload; a download while an upload of the name is
 * under way. The claim is the caller's, as a rule its transfer's (transfer_set_claim()).
 *
 * An upload claims before it looks whether the name exists, so that of two in the same instant one
 * wins; it is under way only from registry_begin_upload() on, so that who merely asks for a name
 * that exists disturbs no reader. A download claims when it has found the file, so that who merely
 * asks for a name that does not exist disturbs no writer.
 */
enum ftx_rc registry_claim(struct registry *r, const char *name, enum registry_use use,
    struct registry_claim **out) FTX_MUST_CHECK;
/* The upload's name is free. FTX_BUSY: it is being downloaded (and has been removed since). */
enum ftx_rc registry_begin_upload(struct registry_claim *claim) FTX_MUST_CHECK;
/* Of the type that transfer_set_claim() wants. NULL is allowed. */
void registry_release(void *claim);

#endif
