/*
 * test_conf.h - what the parts of the program test_conf share.
 */
#ifndef UNIT_TEST_CONF_H
#define UNIT_TEST_CONF_H

#include <check.h>

#include "unit/conf_sample.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

/* A set of the sample's options, fresh for each test by conf_setup() and conf_teardown(). */
extern struct sample sample;
extern struct option_set set;
extern struct option_error err;
void conf_setup(void);
void conf_teardown(void);

/* The same, and an empty directory (test_conf_include.c). */
void conf_setup_dir(void);
void conf_teardown_dir(void);
/* The path of a file there; one of two buffers, in turn. */
const char *conf_path(const char *name);
void conf_write(const char *name, const char *text);
/* main.conf loads. */
void conf_accepted(void);
/* main.conf is refused with that text, at name:line of the directory (NULL, 0: nowhere). */
void conf_refused(const char *name, unsigned line, const char *text);

Suite *conf_cmdline_suite(void);
Suite *conf_file_suite(void);
Suite *conf_include_suite(void);

#define SYNTAX_ERROR                                                                      \
	"syntax error: write name = value; with a text in double quotes, a list in [ ], " \
	"and true or false"

#endif
