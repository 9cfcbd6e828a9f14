#ifndef HTTP_WS_HEAD_H
#define HTTP_WS_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * The head of a frame that a client sends (RFC 6455, section 5.2). It checks what can be checked
 * without knowing the frames before.
 */
enum { WS_CLIENT_HEAD_MAX = 14 };

struct ws_head {
	uint64_t len; /* of the payload */
	unsigned char opcode;
	bool is_final;
	bool is_compressed; /* RSV1 */
	unsigned char mask[4];
};

/* Bytes of the head of which `have` bytes are known: 2, until two bytes are known. */
size_t ws_head_size(const unsigned char *bytes, size_t have);

/* Checks the first two bytes. Returns NULL or an error, as the protocol's error(). RSV1 is allowed
 * in the first frame of a message if may_compress. */
const char *ws_head_check(const unsigned char *bytes, bool may_compress)
    __attribute__((warn_unused_result));

/* Reads a whole head whose first two bytes are valid. Returns NULL or an error. */
const char *ws_head_read(const unsigned char *bytes, struct ws_head *head)
    __attribute__((warn_unused_result));

#endif
