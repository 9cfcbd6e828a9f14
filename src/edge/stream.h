#ifndef EDGE_STREAM_H
#define EDGE_STREAM_H

#include <stdint.h>

#include "base/bytes.h"

/* Stream: an open event stream. For this layer only. */
struct buffer;
struct edge_session;

/* Appends the event that only moves Last-Event-ID: up to where messages were queued. */
void edge_stream_put_position(const struct edge_session *s, struct buffer *out);

/* Appends a channel's name as a JSON string: bytes that are not UTF-8 become U+FFFD. */
void edge_put_name(struct buffer *out, struct slice name);

/* The head was queued, the subscriptions exist. */
void edge_stream_began(struct edge_session *s, uint64_t now_us);

/* Its timer is due: a heartbeat, or its end. */
void edge_stream_tick(struct edge_session *s, uint64_t now_us);

#endif
