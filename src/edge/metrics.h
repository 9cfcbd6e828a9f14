#ifndef EDGE_METRICS_H
#define EDGE_METRICS_H

/* The page /metrics: what server/metrics.h says, and what the edge counts. For this layer only. */
struct buffer;
struct edge;

void edge_metrics_put(struct edge *edge, struct buffer *out);

#endif
