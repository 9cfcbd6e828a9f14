#ifndef EDGE_HANDLERS_H
#define EDGE_HANDLERS_H

#include "server/command.h"

/* The functions that answer requests, one for each URL (routes.c). Each queues a response, or says
 * that the request goes on in a later turn. For this layer only. */
struct edge_call;

enum command_result edge_sse(struct edge_call *call);     /* sse.c */
enum command_result edge_upgrade(struct edge_call *call); /* upgrade.c */
enum command_result edge_publish(struct edge_call *call); /* publish.c */
enum command_result edge_healthz(struct edge_call *call); /* pages.c */
enum command_result edge_readyz(struct edge_call *call);
enum command_result edge_metrics_page(struct edge_call *call);
enum command_result edge_demo(struct edge_call *call);

#endif
