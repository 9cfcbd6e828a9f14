#ifndef EDGE_METRICS_H
#define EDGE_METRICS_H

/* What the edge adds to the page /metrics. For this layer only. */
struct edge;

/* Adds the edge's families to the server's page. Borrows edge as long as the server lives. */
void edge_metrics_init(struct edge *edge);

#endif
