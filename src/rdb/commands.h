#ifndef RDB_COMMANDS_H
#define RDB_COMMANDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rdb/command.h"

/*
 * The commands that create what an RDB file has. A large value takes several commands, each with a
 * bounded number of elements and bytes, so that memory is that of the largest element.
 *
 * Left out and counted are keys that have expired, empty collections, which Redis drops as well,
 * and what modules wrote.
 */
struct rdb_commands;
struct rdb_input;

struct rdb_commands_config {
	int64_t now_ms;     /* keys that expire at this time or before are left out */
	bool keeps_expired; /* they are not: commands of an append-only file follow */
	bool replaces;      /* keys that exist already are deleted first */
	/* Called for what a module wrote; name is that of its type. is_key: it is a key's value. */
	void (*module)(void *arg, struct slice name, bool is_key);
	void *arg;
};

struct rdb_left_out {
	uint64_t expired_keys, expired_fields, empty_keys;
	uint64_t pending_entries; /* whose entries are not in the stream: counted by the caller */
};

/* Borrows in, copies config. Returns owned (rdb_commands_free). */
struct rdb_commands *rdb_commands_new(
    struct rdb_input *in, const struct rdb_commands_config *config);
void rdb_commands_free(struct rdb_commands *commands);

enum rdb_commands_result { RDB_COMMAND, RDB_COMMANDS_END, RDB_COMMANDS_BAD };

/* RDB_COMMANDS_BAD: the input has a fault. */
enum rdb_commands_result rdb_commands_next(
    struct rdb_commands *commands, struct rdb_command *command);

const struct rdb_left_out *rdb_commands_left_out(const struct rdb_commands *commands);

#endif
