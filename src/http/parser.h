#ifndef HTTP_PARSER_H
#define HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/protocol.h"

/*
 * Parser of requests: the state of http_protocol, see http/protocol.h for what it accepts.
 *
 * It takes the bytes in any pieces, and the pieces make no difference to the requests and errors,
 * except that a client is asked for the body only if none of it has arrived with the head. Each
 * line is judged when it is complete. Arguments that are complete in the given bytes are slices of
 * them; the others, and every chunked body, are copied to the parser's memory, which grows as bytes
 * arrive: an announced length never decides its size.
 */
struct http_parser;

/* Borrows limits, which may change between calls. Returns owned (http_parser_free). */
struct http_parser *http_parser_new(const struct protocol_limits *limits);
void http_parser_free(struct http_parser *parser);

/* These do what base/protocol.h says of the members with the same names. */
enum protocol_status http_parser_feed(struct http_parser *parser, const char *ptr, size_t len,
    size_t *taken, struct protocol_request *request) __attribute__((warn_unused_result));
struct protocol_request http_parser_keep(struct http_parser *parser);
void http_parser_give_arena(struct http_parser *parser, struct arena *arena);
bool http_parser_settle(struct http_parser *parser);
const char *http_parser_error(const struct http_parser *parser);
size_t http_parser_held_bytes(const struct http_parser *parser);
size_t http_parser_room_bytes(const struct http_parser *parser);

#endif
