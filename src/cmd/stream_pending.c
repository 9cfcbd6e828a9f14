#include "config.h"

#include "cmd/args.h"
#include "cmd/handlers.h"
#include "cmd/stream_args.h"
#include "cmd/stream_groups.h"
#include "cmd/stream_reply.h"
#include "resp/writer.h"

/* Streams: XPENDING. */

struct query {
	int64_t min_idle_ms;
	struct stream_id first, last;
	int64_t count;
	const struct slice *consumer; /* NULL: all */
};

static bool
parse_query(struct request *rq, struct query *q)
{
	size_t at = 3;

	*q = (struct query){0};
	if (slice_is_nocase(rq->argv[3], "idle")) {
		if (!args_i64(rq, rq->argv[4], &q->min_idle_ms))
			return false;
		if (rq->argc < 8) {
			request_syntax_error(rq);
			return false;
		}
		at = 5;
	}
	if (!args_i64(rq, rq->argv[at + 2], &q->count) ||
	    !stream_args_start(rq, rq->argv[at], &q->first) ||
	    !stream_args_end(rq, rq->argv[at + 1], &q->last))
		return false;
	if (at + 3 < rq->argc)
		q->consumer = &rq->argv[at + 3];
	return true;
}

/* The number of pending entries, the first and the last of them, and the number of each consumer.
 */
static void
put_summary(struct request *rq, const struct stream_group *group)
{
	const struct id_tree *pending = &group->pending;
	struct id_cursor first, last;
	size_t begin, count = 0;

	resp_put_array(rq->reply, 4);
	resp_put_int(rq->reply, (int64_t)pending->count);
	if (pending->count == 0) {
		resp_put_null(rq->reply, rq->proto);
		resp_put_null(rq->reply, rq->proto);
		resp_put_null_array(rq->reply, rq->proto);
		return;
	}
	id_tree_seek(pending, STREAM_ID_MIN, false, &first);
	id_tree_seek(pending, STREAM_ID_MAX, true, &last);
	stream_put_id(rq->reply, id_cursor_next(&first)->id);
	stream_put_id(rq->reply, id_cursor_prev(&last)->id);
	begin = stream_array_begin(rq->reply);
	for (size_t i = 0; i < group->consumer_count; i++) {
		const struct stream_consumer *consumer = group->consumers[i];

		if (consumer->pending.count == 0)
			continue;
		count++;
		resp_put_array(rq->reply, 2);
		resp_put_bulk(rq->reply, stream_consumer_name(consumer));
		resp_put_bulk_int(rq->reply, (int64_t)consumer->pending.count);
	}
	stream_array_end(rq->reply, begin, '*', count);
}

static void
put_entries(struct request *rq, const struct query *q, const struct id_tree *tree)
{
	int64_t now_ms = request_now_ms(rq), count = 0;
	size_t begin = stream_array_begin(rq->reply);
	const struct id_entry *entry;
	struct id_cursor cursor;

	id_tree_seek(tree, q->first, false, &cursor);
	while (count < q->count && (entry = id_cursor_next(&cursor)) != NULL &&
	       stream_id_compare(entry->id, q->last) <= 0) {
		const struct stream_pending *pending = entry->value;
		int64_t idle_ms = now_ms - pending->delivered_ms;

		if (q->min_idle_ms != 0 && idle_ms < q->min_idle_ms)
			continue;
		count++;
		resp_put_array(rq->reply, 4);
		stream_put_id(rq->reply, entry->id);
		resp_put_bulk(rq->reply, stream_consumer_name(pending->consumer));
		resp_put_int(rq->reply, idle_ms > 0 ? idle_ms : 0);
		resp_put_int(rq->reply, (int64_t)pending->deliveries);
	}
	stream_array_end(rq->reply, begin, '*', (size_t)count);
}

enum command_result
cmd_xpending(struct request *rq)
{
	const struct stream_consumer *consumer;
	struct stream_target target;
	struct query q;

	if (rq->argc != 3 && (rq->argc < 6 || rq->argc > 9)) {
		request_syntax_error(rq);
		return COMMAND_DONE;
	}
	if ((rq->argc > 3 && !parse_query(rq, &q)) ||
	    !stream_target_need(rq, rq->argv[1], rq->argv[2], "", &target))
		return COMMAND_DONE;
	if (rq->argc == 3) {
		put_summary(rq, target.group);
		return COMMAND_DONE;
	}
	if (q.consumer == NULL) {
		put_entries(rq, &q, &target.group->pending);
		return COMMAND_DONE;
	}
	consumer = stream_group_consumer(target.group, *q.consumer);
	if (consumer != NULL)
		put_entries(rq, &q, &consumer->pending);
	else
		resp_put_array(rq->reply, 0);
	return COMMAND_DONE;
}
