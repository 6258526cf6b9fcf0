/*
 * record.h - writes down what a program does to its files, and when it tells a peer that all is
 * done.
 * Threads: any. All between record_begin() and record_end() is under one lock.
 *
 * Linked with -Wl,--wrap (tests/torture/recorded), record_content.c
 * and record_names.c stand before the C library's calls; it
 * makes the real call and writes the record of it with the lock held. So the order of the records
 * is the order in which the calls took effect. Numbers taken before and after each call would leave
 * the calls of two threads as they fall, but then a file of overlapping intervals has to be
 * unravelled, for no gain: after a power cut, what was not synced is there or not in any
 * combination anyway, and what one thread syncs before it answers stays before the answer. tests/
 * torture/README says what the environment can order.
 */
#ifndef TORTURE_RECORD_H
#define TORTURE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct iovec;

/* The head of a wrapper, and what it may call instead of itself. */
#define WRAPPED(type, name, ...)         \
	type __real_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__); \
	type __wrap_##name(__VA_ARGS__)

void record_lock(void);
/* Keeps errno. */
void record_unlock(void);

/* One record is one line of JSON. The lock is held. */
void record_begin(const char *op);
void record_number(const char *key, long long number);
void record_text(const char *key, const char *text);
/* The file or directory: device, inode, and what it is. */
void record_inode(const char *key, const struct stat *st);
/* The first len bytes of the vector. */
void record_data(const char *key, const struct iovec *iov, size_t len);
void record_end(void);
/* The directory that the last component of path stands in, and that component. */
void record_place(const char *dir_key, const char *name_key, int dir, const char *path);
/* A whole record: a file or directory has come to be, with no name where path is NULL. */
void record_create(const struct stat *st, int dir, const char *path);
/* The descriptor's, where it is a regular file. */
bool record_is_file(int fd, struct stat *st);

/* FTX_RECORD_FAIL names this kind of call: it is to fail as if the system had no such thing. */
bool record_fails(const char *kind);
/*
 * FTX_RECORD_DROP names this kind of call, or this one of them (KIND:N, counted from 1): it is to
 * be left out. Each question counts as a call. The lock is held.
 */
bool record_drops(const char *kind);

#endif
