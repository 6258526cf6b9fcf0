/*
 * stage.h - a file that is not published yet, and the moment when it is.
 * Layer: store. Threads: every call may block (pool), one at a time on a stage.
 * Tests: tests/unit/test_stage.c, test_stage_io.c, test_stage_attrs.c, test_stage_part.c,
 *        test_stage_next.c
 *
 * A stage lives in the directory that its file will stand in, so that publishing never crosses file
 * systems, quotas or mounts. Where the file system has O_TMPFILE (open(2)) it has no name at all,
 * and a crash leaves nothing; else it has a reserved name. An unnamed stage is published by
 * link(2), a named one by RENAME_NOREPLACE (rename(2)) or, where there is no such thing, by
 * link(2): each refuses a name that exists. Only PUT_REPLACE lets rename(2) replace it.
 */
#ifndef STORE_STAGE_H
#define STORE_STAGE_H

#include <limits.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>

#include "base/rc.h"
#include "store/digest.h"
#include "store/meta.h"
#include "store/put_spec.h"
#include "store/root.h"

struct iovec;
struct stage_dir;
struct upload_claim;

enum stage_kind {
	STAGE_NONE,
	STAGE_UNNAMED, /* O_TMPFILE */
	STAGE_NAMED,   /* a reserved name in the target's directory */
	STAGE_THROUGH  /* no stage: a device, FIFO or socket is written to as it stands */
};

struct stage {
	enum stage_kind kind;
	struct root *root;       /* borrowed */
	struct stage_dir *dir;   /* owned hold: the target's directory; NULL: none */
	int dir_fd;              /* borrowed from that; -1: none */
	int fd;                  /* owned: the file; -1: none */
	char leaf[NAME_MAX + 1]; /* the name it will have */
	char temp[64];           /* its own while it is STAGE_NAMED */
	bool replace;            /* PUT_REPLACE */
	bool replaces;           /* there was a file of that name */
	bool through;            /* spec->through */
	bool unlooked;           /* spec->unlooked */
	bool part;               /* STAGE_NAMED, by a name that is found again: spec->keep */
	mode_t mode;             /* it will have */
	bool has_mtime;          /* what follows is true: the time that it will have */
	struct timespec mtime;
	struct digest_value digest;     /* of the content, to be stored with it */
	struct meta_version if_version; /* what is replaced must have it; none: any */
	struct upload_claim *upload;    /* borrowed: it is known by that; NULL: by nothing */
	struct meta *meta; /* borrowed: told of the published file; NULL: nobody asks */
	struct stat st;    /* after stage_set_attrs(): what it is like, but for its mode */
	bool in_memory;    /* it stands on no device */
	bool may_wait;     /* ROOT_MAY_WAIT */
	bool direct;       /* written past the page cache (open(2), O_DIRECT) */
	uint64_t flushed;  /* bytes whose way to the device has been begun */
	uint64_t unsynced; /* bytes in the page cache, as long as it is open; in root, too */
	uint64_t together; /* likewise, after stage_goes_with_others() */
};

/*
 * Opens a stage beneath r, for what spec says, which need not stay. With PUT_CREATE an existing
 * regular file is FTX_EXISTS; what is no regular file is FTX_NOT_REGULAR, or with
 * spec->through (but for directories) STAGE_THROUGH. FTX_OTHER_VERSION: spec->if_version is
 * not there. On failure s is empty.
 */
enum ftx_rc stage_open(struct stage *s, struct root *r, const struct put_spec *spec) FTX_MUST_CHECK;
/*
 * The same for one of many whose content is at hand, one after the other: *last is NULL at first,
 * and the caller's to release at the end (store/stage_dir.h). In memory, that a name is taken shows
 * when it is to be given, and is FTX_EXISTS whatever has it.
 */
enum ftx_rc stage_open_next(struct stage *s, struct root *r, const struct put_spec *spec,
    struct stage_dir **last) FTX_MUST_CHECK;
/*
 * The same with a stage that has a name, so that it can be opened again by stage_open_kept() after
 * stage_park(): a new one, or that one; *have: the bytes that are in it. FTX_NOT_FOUND: it is gone.
 */
struct stage_kept {
	char stage[64]; /* empty: a new one */
};
enum ftx_rc stage_open_kept(struct stage *s, struct root *r, const struct put_spec *spec,
    const struct stage_kept *kept, uint64_t *have) FTX_MUST_CHECK;
/*
 * Closes it as it is; s is empty afterwards. What it was stays under the stage's own name. So is
 * `part` to be opened again: by stage_open_kept() with `kept` NULL, which tells *have as well.
 */
void stage_park(struct stage *s);

/*
 * Before the first write: a file of this size is better written past the page cache, and can be.
 * Then every write but the last should be of a multiple of CHUNK_ALIGN, from such memory.
 */
bool stage_prefer_direct(struct stage *s, uint64_t size);
/* From here on through the page cache again. */
void stage_end_direct(struct stage *s);

/* Writes all of it at offset (STAGE_THROUGH: at the end). May change the vector. */
enum ftx_rc stage_write(
    struct stage *s, struct iovec *iov, int count, uint64_t offset) FTX_MUST_CHECK;
/*
 * The same with len bytes of a pipe, without a copy (splice(2)). FTX_UNSUPPORTED: this file takes
 * none, and they are in the pipe still.
 */
enum ftx_rc stage_write_pipe(struct stage *s, int pipe, size_t len, uint64_t offset) FTX_MUST_CHECK;

/*
 * What is written of it is about to be made durable together with others: who does that need not
 * fear to have to wait for it besides (store/commit).
 */
void stage_goes_with_others(struct stage *s);

/*
 * Publishes it: the steps that follow, one after the other. FTX_EXISTS when the name has appeared
 * meanwhile. FTX_NOT_DURABLE (of a daemon): the file stands there whole, but its directory could
 * not be synced, so nothing may be promised. The stage is closed whatever happens.
 */
enum ftx_rc stage_publish(struct stage *s, const atomic_bool *cancelled) FTX_MUST_CHECK;

/* Time and mode shall be those of spec, whatever it was opened with. */
void stage_take_attrs(struct stage *s, const struct put_spec *spec);
/*
 * Sets time, digest and mode, after the last write. Not for STAGE_THROUGH, nor are the steps below
 * the next one.
 */
enum ftx_rc stage_set_attrs(struct stage *s) FTX_MUST_CHECK;
/*
 * Notes that it is ready to be published, if its upload is known by a claim, which has been
 * entered. All such notes are made durable (uploads_settle()) before the first name is given.
 */
enum ftx_rc stage_record(const struct stage *s) FTX_MUST_CHECK;
bool stage_needs_settling(const struct stage *s);
/* Notes that it is published, and durable. */
void stage_note_published(const struct stage *s);
/* Makes content and attributes durable. */
enum ftx_rc stage_sync(const struct stage *s) FTX_MUST_CHECK;
/*
 * Looks at *cancelled (FTX_CANCELLED), and gives the file its name in one step. FTX_OTHER_VERSION:
 * what has the name is not what was to be replaced. That is looked at just before: what another
 * program puts there in that instant is lost. (Others of our own are held off by their claims.)
 */
enum ftx_rc stage_give_name(struct stage *s, const atomic_bool *cancelled) FTX_MUST_CHECK;
/*
 * The directory was synced after that, and it ended like this; returns what to say of it. If it
 * failed, a power cut may bring the stage's own name back: the mark that it is found by must stay.
 */
enum ftx_rc stage_dir_synced(struct stage *s, enum ftx_rc rc) FTX_MUST_CHECK;

/* Drops what was not published, and closes: s is empty afterwards. An empty stage is allowed. */
void stage_discard(struct stage *s);
/* Makes s empty, whatever it held. */
void stage_init(struct stage *s);

#endif
