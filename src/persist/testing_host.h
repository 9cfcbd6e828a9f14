#ifndef PERSIST_TESTING_HOST_H
#define PERSIST_TESTING_HOST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "persist/keyspace.h"
#include "persist/persist.h"

/*
 * For tests: what the persistence layer needs of a server, without a server: a keyspace, its
 * journal, and a record of the callbacks. The keyspace is a counter: each change is a transaction
 * of ADD n and ADD n + 1, which give the count before them, so that a missing, duplicated or halved
 * batch is found when it is loaded.
 *
 * There is no loop: the test calls child_ready(child_arg) when child_fd is readable, and
 * persist_run_writer().
 */
#define TESTING_BATCHES_MAX 256

struct testing_host {
	struct persist_host host; /* to be passed to persist_new() */
	struct persist_keyspace keyspace;
	/* The keyspace. */
	uint64_t count;
	bool is_loading;
	bool is_wrong; /* a loaded command does not follow the one before */
	/* The journal. */
	bool journal_is_on, holds;
	struct buffer pending;
	uint64_t pending_count;
	uint64_t number;
	uint64_t counts[TESTING_BATCHES_MAX]; /* the count after the batch with this number */
	/* What the persistence layer has reported. */
	bool is_failed, is_refused, is_crowded;
	uint64_t kept;  /* the count that was reported as kept, under always */
	uint64_t saved; /* the count in a snapshot that was reported as good */
	unsigned accepted, ended;
	/* Watches: the writer's, and the child's. */
	int child_fd;
	void (*child_ready)(void *arg);
	void *child_arg;
};

/* An empty keyspace, without reports. */
void testing_host_init(struct testing_host *host);
void testing_host_release(struct testing_host *host);

/* Adds two to the count, unless writes are refused. */
void testing_host_change(struct testing_host *host);

#endif
