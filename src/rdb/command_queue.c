#include "config.h"

#include "rdb/command_queue.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

/* Memory for a large element is given back after it. */
#define KEPT_BYTES ((size_t)256 * 1024)

void
rdb_queue_release(struct rdb_command_queue *queue)
{
	buffer_release(&queue->bytes);
	xfree(queue->ends);
	xfree(queue->argv);
	*queue = (struct rdb_command_queue){0};
}

struct rdb_queued *
rdb_queue_begin(
    struct rdb_command_queue *queue, const char *name, enum rdb_part part, enum rdb_type type)
{
	struct rdb_queued *command;

	assert(queue->count < RDB_QUEUED_MAX);
	command = &queue->commands[queue->count++];
	*command = (struct rdb_queued){.first_arg = queue->arg_count, .part = part, .type = type};
	queue->is_open = true;
	rdb_queue_add_str(queue, name);
	return command;
}

void
rdb_queue_add(struct rdb_command_queue *queue, struct slice arg)
{
	assert(queue->is_open);
	if (queue->arg_count == queue->arg_room) {
		queue->arg_room = queue->arg_room > 0 ? 2 * queue->arg_room : 64;
		queue->ends = xrealloc(queue->ends, queue->arg_room * sizeof(*queue->ends));
	}
	buffer_append_slice(&queue->bytes, arg);
	queue->ends[queue->arg_count++] = queue->bytes.len;
	queue->commands[queue->count - 1].argc++;
}

void
rdb_queue_add_str(struct rdb_command_queue *queue, const char *arg)
{
	rdb_queue_add(queue, slice_of(arg));
}

void
rdb_queue_add_i64(struct rdb_command_queue *queue, int64_t number)
{
	char text[BYTES_I64_MAX];

	rdb_queue_add(queue, (struct slice){text, bytes_from_i64(text, number)});
}

void
rdb_queue_add_u64(struct rdb_command_queue *queue, uint64_t number)
{
	char text[BYTES_U64_MAX];

	rdb_queue_add(queue, (struct slice){text, bytes_from_u64(text, number)});
}

void
rdb_queue_add_id(struct rdb_command_queue *queue, struct rdb_id id)
{
	char text[2 * BYTES_U64_MAX + 1];
	size_t len = bytes_from_u64(text, id.ms);

	text[len++] = '-';
	len += bytes_from_u64(text + len, id.seq);
	rdb_queue_add(queue, (struct slice){text, len});
}

void
rdb_queue_close(struct rdb_command_queue *queue)
{
	queue->is_open = false;
}

size_t
rdb_queue_open_args(const struct rdb_command_queue *queue)
{
	return queue->is_open ? queue->commands[queue->count - 1].argc : 0;
}

/* Moves the open command to the front. */
static void
move_open(struct rdb_command_queue *queue)
{
	struct rdb_queued *open = &queue->commands[queue->taken];
	size_t first = open->first_arg, from = first > 0 ? queue->ends[first - 1] : 0;

	if (queue->taken == 0)
		return;
	queue->bytes.len -= from;
	memmove(queue->bytes.ptr, queue->bytes.ptr + from, queue->bytes.len);
	queue->arg_count -= first;
	for (size_t i = 0; i < queue->arg_count; i++)
		queue->ends[i] = queue->ends[first + i] - from;
	open->first_arg = 0;
	queue->commands[0] = *open;
	queue->count = 1;
	queue->taken = 0;
}

/* All commands but an open one were taken. */
static void
use_again(struct rdb_command_queue *queue)
{
	if (queue->is_open) {
		move_open(queue);
		return;
	}
	buffer_clear(&queue->bytes);
	buffer_shrink(&queue->bytes, KEPT_BYTES);
	queue->arg_count = queue->count = queue->taken = 0;
}

bool
rdb_queue_take(struct rdb_command_queue *queue, struct rdb_command *command)
{
	const struct rdb_queued *next;

	if (queue->taken + (queue->is_open ? 1 : 0) == queue->count) {
		use_again(queue);
		return false;
	}
	next = &queue->commands[queue->taken++];
	if (next->argc > queue->argv_room) {
		queue->argv_room = 2 * next->argc;
		queue->argv = xrealloc(queue->argv, queue->argv_room * sizeof(*queue->argv));
	}
	for (size_t i = 0; i < next->argc; i++) {
		size_t arg = next->first_arg + i, from = arg > 0 ? queue->ends[arg - 1] : 0;

		queue->argv[i] = (struct slice){queue->bytes.ptr + from, queue->ends[arg] - from};
	}
	*command = (struct rdb_command){.argv = queue->argv,
	    .argc = next->argc,
	    .part = next->part,
	    .type = next->type,
	    .begins_key = next->begins_key};
	return true;
}
