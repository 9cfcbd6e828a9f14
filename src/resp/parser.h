#ifndef RESP_PARSER_H
#define RESP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/protocol.h"

/*
 * Parser of requests: RESP arrays of bulk strings, and inline commands.
 *
 * It takes the bytes in any pieces. An argument that is complete in the given bytes is a slice of
 * them. Others are copied once into the parser's memory, which grows by doubling as bytes arrive;
 * the announced length never decides its size. So a large value in small pieces takes linear time,
 * and no byte is parsed twice. The error texts and the tolerated deviations (any two bytes for a
 * value's CR LF, any byte after a header's CR) are Redis's; see processMultibulkBuffer in its
 * networking.c. The parser does not know commands or connections.
 *
 * Its limits: arg_bytes is proto-max-bulk-len, request_bytes client-query-buffer-limit, and
 * line_bytes is 64 KiB in Redis.
 */
struct resp_parser;

/* Borrows limits, which may change between calls. Returns owned (resp_parser_free). */
struct resp_parser *resp_parser_new(const struct protocol_limits *limits);
void resp_parser_free(struct resp_parser *parser);

/*
 * Takes bytes until a request is complete or none are left; *taken is the number taken. After
 * PROTOCOL_REQUEST the arguments in *request are valid until the next call of resp_parser_feed or
 * resp_parser_reset, and as long as the bytes at ptr are. An empty request (a blank line, "*0",
 * "*-1") is skipped silently, as in Redis. After PROTOCOL_ERROR, every further call returns
 * PROTOCOL_ERROR, and resp_parser_error() gives the reason.
 *
 * unauthenticated lowers the limits: Redis then allows 10 arguments of 16384 bytes ("Protocol
 * error: unauthenticated multibulk length", "... unauthenticated bulk length").
 */
enum protocol_status resp_parser_feed(struct resp_parser *parser, const char *ptr, size_t len,
    bool unauthenticated, size_t *taken, struct protocol_request *request)
    __attribute__((warn_unused_result));

/* The arguments of the request, at least one. Borrowed, see resp_parser_feed. */
const struct slice *resp_parser_args(const struct resp_parser *parser, size_t *count);

/* Copies the arguments that are slices of the fed bytes: from now on, the arguments that
 * resp_parser_args returns do not need these bytes. */
void resp_parser_copy_args(struct resp_parser *parser);

/* Moves the memory of the arguments to *arena: those that are not slices of the fed bytes are then
 * valid until *arena is released. */
struct arena;
void resp_parser_give_arena(struct resp_parser *parser, struct arena *arena);

/*
 * Frees the memory of a request that was handled, without waiting for the next call of
 * resp_parser_feed: an idle client may not send anything for hours. In the middle of a request this
 * does nothing.
 */
void resp_parser_reset(struct resp_parser *parser);

/*
 * The error without the leading "-ERR "; for example "Protocol error: invalid bulk length". When
 * the query buffer exceeds its limit, Redis closes the client without an error; here the client
 * gets "Protocol error: request larger than client-query-buffer-limit".
 */
const char *resp_parser_error(const struct resp_parser *parser);

/* Bytes held for an incomplete request, and the memory allocated for it. */
size_t resp_parser_held_bytes(const struct resp_parser *parser);
size_t resp_parser_room_bytes(const struct resp_parser *parser);

/* True between requests. */
bool resp_parser_is_idle(const struct resp_parser *parser);

#endif
