#ifndef SERVER_MONITOR_H
#define SERVER_MONITOR_H

/* Monitor: clients that see every command that was executed (MONITOR). */
struct client;
struct request;
struct server;

void monitor_start(struct client *c);
void monitor_stop(struct client *c);

/* Sends rq's line to the monitors. Called only if there are some. monitor_show sends that of a
 * command with CMD_SKIP_MONITOR as well. */
void monitor_feed(struct server *server, const struct request *rq);
void monitor_show(struct server *server, const struct request *rq);

#endif
