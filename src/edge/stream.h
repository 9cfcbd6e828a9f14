#ifndef EDGE_STREAM_H
#define EDGE_STREAM_H

#include <stdint.h>

/* Stream: an open event stream. For this layer only. */
struct buffer;
struct edge_session;

/* Appends the event that only moves Last-Event-ID: up to where messages were queued. */
void edge_stream_put_position(const struct edge_session *s, struct buffer *out);

/* The head was queued, the subscriptions exist. */
void edge_stream_began(struct edge_session *s, uint64_t now_us);

/* Its timer is due: a heartbeat, or its end. */
void edge_stream_tick(struct edge_session *s, uint64_t now_us);

#endif
