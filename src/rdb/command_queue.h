#ifndef RDB_COMMAND_QUEUE_H
#define RDB_COMMAND_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "rdb/command.h"

/*
 * A few commands in the order in which they are to be carried out; the last one may still be open,
 * to get further arguments. Only rdb/commands.c uses it.
 */
struct rdb_queued {
	size_t first_arg, argc;
	enum rdb_part part;
	enum rdb_type type;
	bool begins_key;
};

#define RDB_QUEUED_MAX 8

struct rdb_command_queue {
	struct buffer bytes; /* of all arguments */
	size_t *ends;        /* owned; the end of each argument in bytes */
	size_t arg_count, arg_room;
	struct rdb_queued commands[RDB_QUEUED_MAX];
	size_t count, taken;
	bool is_open;
	struct slice *argv; /* owned; of the command taken last */
	size_t argv_room;
};

void rdb_queue_release(struct rdb_command_queue *queue);

/* Opens a command; the one before is closed. */
struct rdb_queued *rdb_queue_begin(
    struct rdb_command_queue *queue, const char *name, enum rdb_part part, enum rdb_type type);
void rdb_queue_add(struct rdb_command_queue *queue, struct slice arg);
void rdb_queue_add_str(struct rdb_command_queue *queue, const char *arg);
void rdb_queue_add_i64(struct rdb_command_queue *queue, int64_t number);
void rdb_queue_add_u64(struct rdb_command_queue *queue, uint64_t number);
void rdb_queue_add_id(struct rdb_command_queue *queue, struct rdb_id id);
void rdb_queue_close(struct rdb_command_queue *queue);

/* The number of arguments of the open command; 0: none is open. */
size_t rdb_queue_open_args(const struct rdb_command_queue *queue);

/* Takes the first command that is not open. False: there is none, and the memory of those taken
 * before is used again. */
bool rdb_queue_take(struct rdb_command_queue *queue, struct rdb_command *command)
    __attribute__((warn_unused_result));

#endif
