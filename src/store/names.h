/*
 * names.h - what is done to names in a root: looking, making directories, renaming, removing.
 * Layer: store. Threads: every call may block (pool).
 * Tests: tests/unit/test_names.c, tests/torture
 *
 * Names are normalised (path_normalize()); no link is followed on the way to them or in their
 * place. What changes a directory is durable with FTX_OK: everything was synced that it takes,
 * except with ROOT_NO_SYNC. With any other result the change may have been made, but nothing is
 * promised.
 *
 * Nothing here claims names: that no transfer of ours is under way is the caller's business. What
 * other programs do meanwhile can make a change hit what has just taken the name; never anything
 * outside of the root, and never a second name.
 */
#ifndef STORE_NAMES_H
#define STORE_NAMES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/rc.h"
#include "store/meta.h"
#include "store/root.h"

/* The empty name is the root itself. FTX_NOT_FOUND also where a directory on the way is missing. */
enum ftx_rc names_stat(
    struct root *r, const char *name, bool digests, struct meta *m) FTX_MUST_CHECK;

/*
 * A directory. parents: those above it, too, which get the root's mode. mode: NULL for the root's,
 * which is its files' with x for whoever may read; whatever it is, we may work in it ourselves.
 * *existed: it was there already, and is left as it is, but is durable now; the first one to give a
 * mode to what was made only for what is in it gives it that mode (store/implied.h). FTX_EXISTS:
 * something else has that name. FTX_NO_PARENT, ...
 */
enum ftx_rc names_mkdir(struct root *r, const char *name, bool parents, const mode_t *mode,
    bool *existed) FTX_MUST_CHECK;

/* All directories of a name, as names_mkdir() makes parents. FTX_NO_PARENT: one is a file. */
enum ftx_rc names_make_parents(struct root *r, const char *name) FTX_MUST_CHECK;
/* They are there; makes durable that they are. */
enum ftx_rc names_sync_parents(struct root *r, const char *name) FTX_MUST_CHECK;

/*
 * A regular file gets another name. replace: in place of a regular file that has it, in one step;
 * else, and where anything else has it, or another link of the same file, FTX_EXISTS. *m: of the
 * file under its new name, without digest. if_version: FTX_OTHER_VERSION where `from` has another
 * one; NULL: it may have any. FTX_NOT_FOUND, FTX_IS_DIRECTORY, FTX_NOT_REGULAR; FTX_NO_PARENT of
 * `to`; FTX_OTHER_DEVICE. From a spelling to the same nothing is done, if it could be.
 *
 * Without RENAME_NOREPLACE (rename(2)) it has both names for a moment, and after a crash then.
 */
enum ftx_rc names_rename(struct root *r, const char *from, const char *to, bool replace,
    const struct meta_version *if_version, struct meta *m) FTX_MUST_CHECK;

/*
 * Removes a regular file, or a symbolic link itself; or, if told so, an empty directory.
 * FTX_NOT_FOUND, FTX_IS_DIRECTORY, FTX_NOT_DIRECTORY, FTX_NOT_REGULAR, FTX_NOT_EMPTY,
 * FTX_OTHER_VERSION.
 */
enum ftx_rc names_remove(struct root *r, const char *name, bool directory,
    const struct meta_version *if_version) FTX_MUST_CHECK;

/*
 * Nothing is in that directory but stage files of ours. False also where that cannot be found out.
 */
bool names_holds_only_stages(struct root *r, const char *name);

/*
 * A change of that name, or of what has it, is durable once the call that made it has ended well.
 * False where its directory is on a file system in memory, or the root syncs nothing, or that
 * cannot be found out.
 */
bool names_are_synced(struct root *r, const char *name);

#endif
