#ifndef SERVER_JOB_H
#define SERVER_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"

/*
 * Jobs: work that grows with the state, done in slices so that the loop is never held.
 *
 * A command that may take long starts a job and returns COMMAND_DONE; its client's next requests
 * wait until the job is done. The step gets a deadline and writes to `reply`, which goes to the
 * client's outbox after each step; while the client is owed much the job waits. What a step writes
 * must be whole replies where something else may be pushed in between (client_is_pushed_to). A job
 * outlives nothing: when its client goes, release is called and step never again. Jobs without a
 * client (taking back a gone client's subscriptions) are allowed.
 */
struct client;
struct server;

struct job;

TAILQ_HEAD(job_list, job);

struct jobs {
	struct job_list list;
	size_t count;
};

enum job_state { JOB_MORE, JOB_DONE };

struct job_step {
	struct server *server;
	struct client *client; /* or NULL */
	struct buffer *reply;  /* empty at first; ignored without a client */
	uint64_t deadline_us;  /* monotonic; look at the clock every few hundred units of work */
	bool muted; /* CLIENT REPLY: what goes into reply is dropped, and so must be what is pushed
		       past it */
	bool at_once; /* in a transaction: nothing is pushed past reply */
};

struct job_kind {
	const char *name;
	enum job_state (*step)(void *state, struct job_step *step);
	void (*release)(void *state); /* frees state */
};

void jobs_init(struct jobs *jobs);

/* Gives up all jobs. */
void jobs_release(struct jobs *jobs);

/* Runs each job for a while, until deadline_us. True if there is more that can be done at once. */
bool jobs_run(struct server *server, uint64_t deadline_us);

/* The client goes: its job, if it has one, is given up. */
void job_cancel(struct client *client);

/*
 * Takes state. client may be NULL; a client has at most one job. In a transaction the job is run to
 * its end at once, its reply goes into that of the command.
 */
void job_start(
    struct server *server, struct client *client, const struct job_kind *kind, void *state);

#endif
