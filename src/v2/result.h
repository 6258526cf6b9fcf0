/*
 * result.h - protocol 2: the codes of ERROR <-> enum ftx_rc.
 * Layer: v2. Pure. Threads: any.
 * Layout: ftxfer-protocol(7), "RESULT CODES". Tests: tests/unit/test_v2_result.c
 */
#ifndef V2_RESULT_H
#define V2_RESULT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rc.h"

/* What a code may be the ERROR of. */
enum v2_code_of { V2_OF_REQUEST = 1, V2_OF_CONNECTION = 2, V2_OF_EITHER = 3 };

/* clang-format off */
/* The table: number, name, where it may come, what it is here. */
#define V2_CODE_TABLE(X) \
	X(100, MALFORMED,       V2_OF_EITHER,     FTX_BAD_MESSAGE) \
	X(101, PROTOCOL,        V2_OF_CONNECTION, FTX_PROTOCOL) \
	X(102, UNSUPPORTED,     V2_OF_EITHER,     FTX_NOT_OFFERED) \
	X(103, ID_IN_USE,       V2_OF_CONNECTION, FTX_ID_IN_USE) \
	X(104, TOO_MUCH,        V2_OF_CONNECTION, FTX_TOO_MUCH) \
	X(110, UNAUTHENTICATED, V2_OF_EITHER,     FTX_UNAUTHENTICATED) \
	X(111, FORBIDDEN,       V2_OF_REQUEST,    FTX_FORBIDDEN) \
	X(120, BAD_NAME,        V2_OF_REQUEST,    FTX_BAD_NAME) \
	X(121, TOO_DEEP,        V2_OF_REQUEST,    FTX_TOO_DEEP) \
	X(122, NOT_FOUND,       V2_OF_REQUEST,    FTX_NOT_FOUND) \
	X(123, NO_PARENT,       V2_OF_REQUEST,    FTX_NO_PARENT) \
	X(124, EXISTS,          V2_OF_REQUEST,    FTX_EXISTS) \
	X(125, IS_DIRECTORY,    V2_OF_REQUEST,    FTX_IS_DIRECTORY) \
	X(126, NOT_DIRECTORY,   V2_OF_REQUEST,    FTX_NOT_DIRECTORY) \
	X(127, NOT_REGULAR,     V2_OF_REQUEST,    FTX_NOT_REGULAR) \
	X(128, NOT_EMPTY,       V2_OF_REQUEST,    FTX_NOT_EMPTY) \
	X(129, OTHER_DEVICE,    V2_OF_REQUEST,    FTX_OTHER_DEVICE) \
	X(130, CHANGED,         V2_OF_REQUEST,    FTX_OTHER_VERSION) \
	X(131, DIGEST_MISMATCH, V2_OF_REQUEST,    FTX_DIGEST_MISMATCH) \
	X(132, SIZE_MISMATCH,   V2_OF_REQUEST,    FTX_SIZE_MISMATCH) \
	X(133, TOO_LARGE,       V2_OF_REQUEST,    FTX_TOO_LARGE) \
	X(134, NO_SPACE,        V2_OF_REQUEST,    FTX_NO_SPACE) \
	X(135, QUOTA,           V2_OF_REQUEST,    FTX_QUOTA) \
	X(136, BAD_RANGE,       V2_OF_REQUEST,    FTX_BAD_RANGE) \
	X(137, CANCELLED,       V2_OF_REQUEST,    FTX_CANCELLED) \
	X(138, TOO_LATE,        V2_OF_REQUEST,    FTX_TOO_LATE) \
	X(139, TAKEN_OVER,      V2_OF_REQUEST,    FTX_TAKEN_OVER) \
	X(140, INTERNAL,        V2_OF_EITHER,     FTX_INTERNAL) \
	X(200, BUSY,            V2_OF_REQUEST,    FTX_BUSY) \
	X(201, STAGE_FULL,      V2_OF_REQUEST,    FTX_STAGE_FULL) \
	X(202, TOO_MANY,        V2_OF_REQUEST,    FTX_TOO_MANY) \
	X(203, TIMED_OUT,       V2_OF_EITHER,     FTX_TIMED_OUT) \
	X(204, SHUTTING_DOWN,   V2_OF_EITHER,     FTX_SHUTDOWN) \
	X(205, CURSOR_EXPIRED,  V2_OF_REQUEST,    FTX_CURSOR_EXPIRED) \
	X(206, UNSTABLE,        V2_OF_REQUEST,    FTX_CHANGED) \
	X(207, OVERLOADED,      V2_OF_EITHER,     FTX_LIMIT) \
	X(208, NOT_DURABLE,     V2_OF_REQUEST,    FTX_NOT_DURABLE)

#define V2_CODE_ENUM(number, name, of, rc) V2_CODE_##name = (number),
enum v2_code { V2_CODE_TABLE(V2_CODE_ENUM) };
#undef V2_CODE_ENUM
/* clang-format on */

/*
 * What a code is here. One that is not known: FTX_REMOTE_ERROR if it may be tried again, else
 * FTX_REMOTE_REFUSED. Never FTX_OK.
 */
enum ftx_rc v2_code_rc(uint16_t code);
/* What a client is told of this end, which is not FTX_OK. */
enum v2_code v2_code_from_rc(enum ftx_rc rc);
/* The same request may be sent again. Known or not. */
bool v2_code_is_retryable(uint16_t code);
/* The server keeps what there is of an upload that can be resumed. Known or not. */
bool v2_code_keeps_upload(uint16_t code);
/* Where it may come, a set of enum v2_code_of; a code that is not known: anywhere. */
unsigned v2_code_where(uint16_t code);

/* "NO_SPACE"; "unknown". */
const char *v2_code_name(uint16_t code);
/* What a person is told, without a full stop. */
const char *v2_code_text(uint16_t code);
/* "request", "connection", "either"; "unknown" for what is not in the enum. */
const char *v2_code_of_name(enum v2_code_of of);

#endif
