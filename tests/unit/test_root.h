/* test_root.h - what the parts of the program test_root share: a root on the directory `root`. */
#ifndef UNIT_TEST_ROOT_H
#define UNIT_TEST_ROOT_H

#include "store/path.h"
#include "store/root.h"
#include "unit/unit.h"

#define STATE "root/" PATH_STATE_DIR
#define MARK  STATE "/" ROOT_STATE_MARK

extern struct root *root;
extern atomic_bool go_on; /* false: "do not stop", and "not cancelled" */

void root_set_up(void); /* makes the directory */
/* As a daemon does. */
void open_root(const char *path, unsigned flags);
bool exists(const char *path);

void add_sweep_cases(Suite *s);

#endif
