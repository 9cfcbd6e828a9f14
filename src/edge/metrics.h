#ifndef EDGE_METRICS_H
#define EDGE_METRICS_H

#include "server/metrics.h"

/* What the edge adds to the page /metrics. For this layer only. */
struct edge;

/* Embedded in struct edge. */
struct edge_metrics {
	struct metrics_source source; /* first */
	struct edge *edge;
};

/* Adds the edge's families to the server's page. Borrows edge as long as the server lives. */
void edge_metrics_init(struct edge_metrics *metrics, struct edge *edge);

#endif
