/*
 * message.h - protocol 1: its messages <-> structs.
 * Layer: v1. Pure: no I/O, no allocation, no globals. Threads: any.
 * Layout: ftxfer-protocol(7). Tests: tests/unit/test_v1_message.c, tests/fuzz/fuzz_v1_message.c
 *
 *   request                 0  1  'D' download, 'U' upload
 *                           1 255  name, padded with NUL
 *   download answer         0  1  'T', 'F', 'E'
 *                           1  8  u64 size, 0 unless 'T'
 *   download confirmation   0  1  'T', 'F'
 *   upload answer           0  1  'T', 'F', 'E'
 *   upload size             0  8  u64 size
 *   upload size answer      0  1  'T', 'F'
 */
#ifndef V1_MESSAGE_H
#define V1_MESSAGE_H

#include <stddef.h>
#include <stdint.h>

#include "base/rc.h"

#define V1_NAME_MAX             255
#define V1_REQUEST_SIZE         256
#define V1_DOWNLOAD_ANSWER_SIZE 9
#define V1_CONFIRMATION_SIZE    1
#define V1_UPLOAD_ANSWER_SIZE   1
#define V1_UPLOAD_SIZE_SIZE     8
#define V1_SIZE_ANSWER_SIZE     1

enum v1_letter { V1_DOWNLOAD = 'D', V1_UPLOAD = 'U', V1_YES = 'T', V1_NO = 'F', V1_ERROR = 'E' };

struct v1_request {
	enum v1_letter type;
	size_t name_len;
	char name[V1_NAME_MAX +
		  1]; /* NUL-terminated; stripped of white space, otherwise as it came */
};

/*
 * FTX_PROTOCOL: the first byte is neither 'D' nor 'U'. FTX_BAD_NAME: something else than NUL stands
 * behind the first NUL; type is valid then. Whether the name is allowed is not looked at here.
 */
enum ftx_rc v1_request_decode(
    const uint8_t buf[V1_REQUEST_SIZE], struct v1_request *req) FTX_MUST_CHECK;
/* FTX_BAD_NAME: empty, longer than V1_NAME_MAX, or holds NUL. */
enum ftx_rc v1_request_encode(
    enum v1_letter type, const char *name, size_t len, uint8_t buf[V1_REQUEST_SIZE]) FTX_MUST_CHECK;

/* FTX_PROTOCOL: no such letter. The size behind a refusal is not looked at. */
enum ftx_rc v1_download_answer_decode(const uint8_t buf[V1_DOWNLOAD_ANSWER_SIZE],
    enum v1_letter *letter, uint64_t *size) FTX_MUST_CHECK;
void v1_download_answer_encode(
    enum v1_letter letter, uint64_t size, uint8_t buf[V1_DOWNLOAD_ANSWER_SIZE]);

uint64_t v1_upload_size_decode(const uint8_t buf[V1_UPLOAD_SIZE_SIZE]);
void v1_upload_size_encode(uint64_t size, uint8_t buf[V1_UPLOAD_SIZE_SIZE]);

/* One-letter messages: FTX_PROTOCOL when the byte is not one of `allowed`. */
enum ftx_rc v1_letter_decode(
    uint8_t byte, const char *allowed, enum v1_letter *letter) FTX_MUST_CHECK;

/*
 * The letter that refuses a name for this reason. 'F': it is not there, or there already, or busy;
 * 'E': all else is an error, no room for another file among it.
 */
enum v1_letter v1_refusal(enum ftx_rc why);

#endif
