#ifndef PERSIST_KEYSPACE_H
#define PERSIST_KEYSPACE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"

/*
 * The operations of the keyspace that the persistence layer needs: write the keys as commands, and
 * carry out the commands of a file. app fills the table in; a test may have a keyspace of its own.
 */
struct persist_keyspace {
	/* Passes the commands that recreate the keyspace to sink, in pieces that sink borrows.
	 * with_use: also when and how often each key was used (for eviction), which files do not
	 * keep. False: sink returned false. */
	bool (*dump)(void *arg, bool with_use, bool (*sink)(void *sink_arg, struct slice commands),
	    void *sink_arg);
	/* Between begin and end: carries out a command. MULTI and EXEC are ignored: the caller
	 * checks them. False, with the reason in error, if the command is unknown, changes no keys,
	 * is malformed or fails. with_use: the commands are those of a dump with it. */
	void (*replay_begin)(void *arg, bool with_use);
	bool (*replay)(
	    void *arg, const struct slice *argv, size_t argc, char *error, size_t error_len);
	/* Whether the next commands were written by Redis. NULL: that makes no difference. */
	void (*replay_foreign)(void *arg, bool is_foreign);
	void (*replay_end)(void *arg);
	size_t (*key_count)(void *arg);
	void *arg;
};

#endif
