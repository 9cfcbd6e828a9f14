#ifndef SERVER_JOB_H
#define SERVER_JOB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/buffer.h"

/*
 * Jobs: work that grows with the state, done in slices so that it does not block the loop.
 *
 * A command that may take long starts a job and returns COMMAND_DONE; its client's next requests
 * wait until the job is done. Each step gets a deadline and writes to `reply`, which is queued in
 * the client's outbox after the step; while much output is queued the job waits. If messages may be
 * pushed in between (client_is_pushed_to), a step must write whole replies. A job ends with its
 * client: then only release is called. Jobs without a client (removing the subscriptions of a
 * closed client) are allowed.
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
	uint64_t deadline_us;  /* monotonic; check the clock every few hundred units of work */
	bool muted;   /* CLIENT REPLY drops reply; the step must also drop what it pushes past it */
	bool at_once; /* in a transaction: nothing is pushed past reply */
};

struct job_kind {
	const char *name;
	enum job_state (*step)(void *state, struct job_step *step);
	void (*release)(void *state); /* frees state */
};

void jobs_init(struct jobs *jobs);

/* Cancels all jobs. */
void jobs_release(struct jobs *jobs);

/*
 * Runs each job for a while, until deadline_us. True if there is more work that can be done at
 * once.
 */
bool jobs_run(struct server *server, uint64_t deadline_us);

/* The client leaves: cancels its job, if it has one. */
void job_cancel(struct client *client);

/*
 * Takes state. client may be NULL; a client has at most one job. In a transaction the job runs to
 * its end at once, and its reply becomes part of that of the command.
 */
void job_start(
    struct server *server, struct client *client, const struct job_kind *kind, void *state);

#endif
