/*
 * test_path.h - what the parts of the program test_path share.
 */
#ifndef UNIT_TEST_PATH_H
#define UNIT_TEST_PATH_H

#include "unit/unit.h"

/* Components of that many bytes, with slashes between them; ends after len bytes. */
void make_long(char *name, size_t len, size_t component);

void add_name_cases(Suite *s);

#endif
