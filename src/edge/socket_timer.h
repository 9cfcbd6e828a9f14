#ifndef EDGE_SOCKET_TIMER_H
#define EDGE_SOCKET_TIMER_H

#include <stdint.h>

/* The timer of a WebSocket: pings and their answers, and the ends of its tokens and of its age. For
 * this layer only. */
struct edge_session;

/* Its timer is due. */
void edge_socket_tick(struct edge_session *s, uint64_t now_us);

#endif
