/*
 * test_uploads.h - what the parts of the program test_uploads share: uploads in the root `root`,
 * each with a number, by which its name is `fileN`.
 */
#ifndef UNIT_TEST_UPLOADS_H
#define UNIT_TEST_UPLOADS_H

#include <sys/types.h>

#include "store/root.h"
#include "store/uploads.h"
#include "unit/unit.h"

#define NOW  ((uint64_t)2000000000)
#define SIZE ((uint64_t)1000)

extern struct root *root;
extern struct uploads *uploads;

void uploads_set_up(void);
void uploads_tear_down(void);
void restart(void); /* all is closed, and read again */

struct upload_terms terms_of(unsigned number);
const char *name_of(unsigned number, const char *before);
const char *stage_of(unsigned number);
const char *in_root(const char *name);
bool is_there(const char *path);
struct meta meta_at(const char *path, ino_t *ino);

/* As often as it takes. */
enum ftx_rc claim_by_and_by(
    const struct upload_terms *t, const char *name, struct upload_claim **out) FTX_MUST_CHECK;
struct upload_claim *claim(unsigned number);
/* One with a stage on the disk, that nobody works on. */
void leave_unfinished(unsigned number);
/* As a commit does it, as far as: 0 it is ready, 1 and has its name, 2 and is published. */
void publish_until(unsigned number, int step);
/* What is known of it: 0 nothing. A look by itself leaves nothing behind. */
enum upload_state known_as(unsigned number, struct upload_record *r);
/* Whether its stage is. */
bool is_known(unsigned number);

void add_limits_cases(Suite *s);
void add_claims_cases(Suite *s);

#endif
