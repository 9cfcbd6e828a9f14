#ifndef CMD_LATENCY_GRAPH_H
#define CMD_LATENCY_GRAPH_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "server/latency_monitor.h"

/*
 * The graph of LATENCY GRAPH, as Redis draws it: bars of four rows and three steps in each, below
 * them how long ago each sample was, from top to bottom; 80 samples side by side. It reads no
 * clock.
 */

/* Appends the graph of the samples, the oldest first; count is at least 1. */
void latency_graph_draw(
    const struct latency_sample *samples, size_t count, uint32_t now_s, struct buffer *out);

#endif
