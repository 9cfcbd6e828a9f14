#ifndef SERVER_CALL_RECORD_H
#define SERVER_CALL_RECORD_H

#include <stdint.h>

/* Call record: what the statistics and the slow log keep of an executed request. */
struct command;
struct command_stats;
struct request;
struct server;

/* The statistics of a row. */
struct command_stats *call_record_stats(struct server *server, const struct command *command);

/*
 * Counts the request, and adds it to the slow log if it was slow. A door's request has no row in
 * the statistics by command, and its entry in the slow log shows the name of its row only.
 */
void call_record(struct request *rq, uint64_t duration_us);

#endif
