#include "config.h"

#include "base/alloc.h"
#include "base/latency_histogram.h"
#include "cmd/handlers.h"
#include "resp/writer.h"
#include "server/command.h"
#include "server/request.h"
#include "server/statistics.h"

/* LATENCY HISTOGRAM: how long the calls of commands took. */

static void
put_histogram(struct request *rq, size_t row)
{
	const struct latency_histogram *h = rq->server->statistics->commands[row].latency;
	struct latency_step steps[LATENCY_STEPS_MAX];
	size_t count = latency_histogram_steps(h, steps);
	char name[COMMAND_NAME_MAX];

	resp_put_bulk_str(rq->reply, command_full_name(&rq->server->commands->rows[row], name));
	resp_put_map(rq->reply, rq->proto, 2);
	resp_put_bulk_str(rq->reply, "calls");
	resp_put_int(rq->reply, (int64_t)latency_histogram_total(h));
	resp_put_bulk_str(rq->reply, "histogram_usec");
	resp_put_map(rq->reply, rq->proto, count);
	for (size_t i = 0; i < count; i++) {
		resp_put_int(rq->reply, (int64_t)steps[i].us);
		resp_put_int(rq->reply, (int64_t)steps[i].count);
	}
}

/* Marks the commands that are named, and the subcommands of a container. Unknown names count for
 * nothing. */
static void
mark_named(const struct request *rq, bool *marks)
{
	const struct command_table *table = rq->server->commands;
	const struct command *container = NULL;

	for (size_t i = 2; i < rq->argc; i++) {
		const struct command *row = command_find_full(table, rq->argv[i]);

		if (row != NULL)
			marks[command_index(table, row)] = true;
	}
	/* The row of a container precedes those of its subcommands. */
	for (size_t i = 0; i < table->count; i++) {
		if (table->rows[i].container == NULL)
			container = &table->rows[i];
		else if (container != NULL && marks[command_index(table, container)])
			marks[i] = true;
	}
}

enum command_result
cmd_latency_histogram(struct request *rq)
{
	const struct command_table *table = rq->server->commands;
	size_t shown = 0, i;
	bool *marks;

	if (rq->argc - 2 > table->count) {
		request_error(rq, "ERR more names than there are commands");
		return COMMAND_DONE;
	}
	marks = xcalloc(table->count, sizeof(*marks));
	mark_named(rq, marks);
	for (i = 0; i < table->count; i++) {
		marks[i] = (marks[i] || rq->argc == 2) &&
			   rq->server->statistics->commands[i].latency != NULL;
		shown += marks[i];
	}
	resp_put_map(rq->reply, rq->proto, shown);
	for (i = 0; i < table->count; i++)
		if (marks[i])
			put_histogram(rq, i);
	xfree(marks);
	return COMMAND_DONE;
}
