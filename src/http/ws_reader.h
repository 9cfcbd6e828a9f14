#ifndef HTTP_WS_READER_H
#define HTTP_WS_READER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/arena.h"
#include "base/protocol.h"

/*
 * Reads the frames of a WebSocket client: the state of http/ws_protocol.h, which says what a
 * request is and which errors exist. The functions are those of base/protocol.h.
 *
 * All payloads are copied, because they are masked. The message in progress and a control frame
 * between its fragments are in separate arenas.
 */
struct ws_reader;

struct ws_reader *ws_reader_new(const struct protocol_limits *limits, bool inflates);
void ws_reader_free(struct ws_reader *r);
enum protocol_status ws_reader_feed(struct ws_reader *r, const char *ptr, size_t len,
    bool unauthenticated, size_t *taken, struct protocol_request *request);
struct protocol_request ws_reader_request(const struct ws_reader *r); /* the last one */
void ws_reader_give_arena(struct ws_reader *r, struct arena *arena);
bool ws_reader_settle(struct ws_reader *r);
const char *ws_reader_error(const struct ws_reader *r);
size_t ws_reader_held_bytes(const struct ws_reader *r);
size_t ws_reader_room_bytes(const struct ws_reader *r);

#endif
