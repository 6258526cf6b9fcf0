/*
 * test_names.h - what the parts of the program test_names share: a root with one of everything in
 * it, and a directory outside that nobody may touch.
 */
#ifndef UNIT_TEST_NAMES_H
#define UNIT_TEST_NAMES_H

#include <sys/types.h>

#include "store/names.h"
#include "unit/unit.h"

extern struct root *root;

/* By openat2(2) and by components; with RENAME_NOREPLACE and without. */
#define ROOT_KINDS 3
extern const unsigned kinds[ROOT_KINDS];

void names_set_up(void); /* makes the tree; open_root() comes after it */
void names_tear_down(void);
void open_root(unsigned flags);

struct meta look(const char *name);
bool exists(const char *path);
ino_t inode(const char *path);
/* The change of the watched name was made, and that directory was synced after it. */
void synced_after_change(const char *dir);

#define CHECK_RC(call, want)                                                     \
	do {                                                                     \
		enum ftx_rc check_rc = (call);                                   \
		ck_assert_msg(check_rc == (want), "%s: %s instead of %s", #call, \
		    ftx_rc_name(check_rc), ftx_rc_name(want));                   \
	} while (0)

void add_move_cases(Suite *s);

#endif
