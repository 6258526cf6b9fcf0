/*
 * registry.h - who is transferring which name: one upload of it, or any number of downloads.
 * Layer: core. Threads: any (one lock, held for a look-up and never across a system call).
 * Tests: tests/unit/test_registry.c
 */
#ifndef CORE_REGISTRY_H
#define CORE_REGISTRY_H

#include <stdint.h>

#include "base/rc.h"

#define REGISTRY_MARK_SIZE 16

struct registry;
struct registry_claim;

/* The removal is that of a directory: nothing is uploaded into it meanwhile. */
enum registry_use { REGISTRY_UPLOAD, REGISTRY_DOWNLOAD, REGISTRY_REMOVAL };

enum ftx_rc registry_new(struct registry **out) FTX_MUST_CHECK;
/* All claims must have been released. */
void registry_free(struct registry *r);

/*
 * Claims a normalised name. FTX_BUSY: a second upload; a download while an upload of the name is
 * under way; a removal while anything is uploaded below the name, and an upload the other way
 * round. FTX_NOMEM. The claim is the caller's, as a rule its transfer's (transfer_set_claim()).
 *
 * An upload claims before it looks whether the name exists: of two in the same instant one wins. It
 * counts as under way only from registry_begin_upload() on, when the name is known to be free: an
 * upload that will be refused because the file exists keeps nobody from downloading that file. A
 * download claims when it has found the file: one that will be refused keeps nobody from uploading.
 */
enum ftx_rc registry_claim(struct registry *r, const char *name, enum registry_use use,
    struct registry_claim **out) FTX_MUST_CHECK;
/*
 * The same for an upload that is known again by its mark: if an upload with that very mark has the
 * name, it passes to the new claim, and the old one holds nothing from then on.
 */
enum ftx_rc registry_claim_marked(struct registry *r, const char *name,
    const uint8_t mark[REGISTRY_MARK_SIZE], struct registry_claim **out) FTX_MUST_CHECK;
/*
 * For an upload whose name was found to be free: it is under way from here on. FTX_BUSY: the name
 * is still being downloaded (its file was removed meanwhile). FTX_TAKEN_OVER: it has passed to
 * another claim.
 */
enum ftx_rc registry_begin_upload(struct registry_claim *claim) FTX_MUST_CHECK;
/* Takes a struct registry_claim; of the type that transfer_set_claim() wants. NULL is allowed. */
void registry_release(void *claim);

#endif
