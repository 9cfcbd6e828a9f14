#ifndef RESP_PARSER_H
#define RESP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/protocol.h"

/*
 * Parser of requests: RESP arrays of bulk strings, and inline commands.
 *
 * Bytes in, requests out, over any split of the bytes. Arguments that lie whole in the bytes given
 * are slices of them. Others are copied once into memory of the parser, which doubles with what has
 * arrived and is never sized by what was only announced; so a large value in small pieces costs
 * linear time, and no byte is searched twice for the structure. The errors and what is let pass
 * (any two bytes for a value's CR LF, any byte after a header's CR) are Redis's; see
 * processMultibulkBuffer in its networking.c. The parser knows no command and no connection.
 *
 * Its limits: arg_bytes is proto-max-bulk-len, request_bytes client-query-buffer-limit, and
 * line_bytes is 64 KiB in Redis.
 */
struct resp_parser;

enum resp_status {
	RESP_MORE,    /* everything given was taken, no request is complete */
	RESP_REQUEST, /* a request is complete */
	RESP_ERROR,   /* the stream cannot be followed any more; resp_parser_error() says why */
};

/* Borrows limits, which may change between calls. Returns owned (resp_parser_free). */
struct resp_parser *resp_parser_new(const struct protocol_limits *limits);
void resp_parser_free(struct resp_parser *parser);

/*
 * Takes bytes until a request is complete or there are none left; *taken says how many. After
 * RESP_REQUEST the arguments stand until the next call of resp_parser_feed or
 * resp_parser_reset, and as long as the bytes at ptr stand. An empty request (a blank line, "*0",
 * "*-1") is passed over silently, as Redis does. After RESP_ERROR every further call gives
 * RESP_ERROR.
 */
enum resp_status resp_parser_feed(struct resp_parser *parser, const char *ptr, size_t len,
    size_t *taken) __attribute__((warn_unused_result));

/* The arguments of the request, at least one. Borrowed, see resp_parser_feed. */
const struct slice *resp_parser_args(const struct resp_parser *parser, size_t *count);

/* The arguments of the request, as resp_parser_args gives them from now on, no longer need the
 * bytes that were fed. */
void resp_parser_copy_args(struct resp_parser *parser);

/* The arguments stand for longer than said above, until *arena is released, as far as they do not
 * lie in the bytes that were fed; their memory is added to it. */
struct arena;
void resp_parser_give_arena(struct resp_parser *parser, struct arena *arena);

/*
 * The request was handled: its memory goes now, not with the next call of feed, which an idle
 * client may not cause for hours. In the middle of a request this does nothing.
 */
void resp_parser_reset(struct resp_parser *parser);

/*
 * Without the leading "-ERR "; for example "Protocol error: invalid bulk length". Redis closes the
 * client without a word where the query buffer passes its limit; here it is told
 * "Protocol error: request larger than client-query-buffer-limit".
 */
const char *resp_parser_error(const struct resp_parser *parser);

/* Bytes held for a request that is not complete, and the room reserved for it. */
size_t resp_parser_held_bytes(const struct resp_parser *parser);
size_t resp_parser_room_bytes(const struct resp_parser *parser);

/* For an idle client: true between requests. */
bool resp_parser_is_idle(const struct resp_parser *parser);

/*
 * Before authentication a client may send little: Redis allows 10 arguments of 16384 bytes
 * ("Protocol error: unauthenticated multibulk length", "... unauthenticated bulk length").
 */
void resp_parser_set_unauthenticated(struct resp_parser *parser, bool unauthenticated);

#endif
