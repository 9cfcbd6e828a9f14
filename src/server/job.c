#include "config.h"

#include "server/job.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "pubsub/outbox.h"
#include "server/client.h"
#include "server/held.h"
#include "server/pause.h"
#include "server/wait.h"

struct job {
	TAILQ_ENTRY(job) all;
	const struct job_kind *kind;
	void *state;
	struct client *client; /* or NULL */
	bool muted;            /* CLIENT REPLY dropped replies when it began */
	bool running;          /* its step is being called */
	bool cancelled;        /* cancelled meanwhile: freed when the step returns */
};

/* The time of one step before the next job runs. */
#define STEP_US 1000

/*
 * A job waits while this many bytes of replies are queued for its client, so that its output does
 * not pile up.
 */
#define QUEUED_MAX (1 << 20)

void
jobs_init(struct jobs *jobs)
{
	TAILQ_INIT(&jobs->list);
}

void
jobs_release(struct jobs *jobs)
{
	struct job *job;

	while ((job = TAILQ_FIRST(&jobs->list)) != NULL) {
		TAILQ_REMOVE(&jobs->list, job, all);
		job->kind->release(job->state);
		xfree(job);
	}
}

/* Runs a job of a transaction to its end, so that the reply of EXEC stays in one piece. */
static void
run_at_once(struct server *server, struct client *client, const struct job_kind *kind, void *state)
{
	struct job_step step = {server, client, client->pending->exec_reply, UINT64_MAX,
	    client_is_muted(client), .at_once = true};

	while (kind->step(state, &step) == JOB_MORE)
		continue;
	kind->release(state);
}

void
job_start(struct server *server, struct client *client, const struct job_kind *kind, void *state)
{
	struct job *job;

	if (client != NULL && client->pending->exec_reply != NULL) {
		run_at_once(server, client, kind, state);
		return;
	}
	job = xcalloc(1, sizeof(*job));
	assert(client == NULL || client->pending->job == NULL);
	job->kind = kind;
	job->state = state;
	job->client = client;
	if (client != NULL) {
		job->muted = client_is_muted(client);
		client->pending->job = job;
	}
	TAILQ_INSERT_TAIL(&server->jobs->list, job, all);
	server->jobs->count++;
}

static void
job_free(struct server *server, struct job *job)
{
	TAILQ_REMOVE(&server->jobs->list, job, all);
	server->jobs->count--;
	job->kind->release(job->state);
	xfree(job);
}

void
job_cancel(struct client *client)
{
	struct job *job = client->pending != NULL ? client->pending->job : NULL;

	if (job == NULL)
		return;
	client->pending->job = NULL;
	job->client = NULL;
	if (job->running)
		job->cancelled = true;
	else
		job_free(client->server, job);
}

static void
job_end(struct server *server, struct job *job)
{
	struct client *client = job->client;

	job_free(server, job);
	if (client == NULL)
		return;
	client->pending->job = NULL;
	client->pending->job_ended = true;
	wait_event_of(client, WAIT_EVENT_DONE);
	pending_end(client);
}

static void
job_run(struct server *server, struct job *job, uint64_t deadline_us)
{
	struct buffer reply = {0};
	struct job_step step = {server, job->client, &reply, deadline_us, .muted = job->muted};
	enum job_state state;

	job->running = true;
	state = job->kind->step(job->state, &step);
	job->running = false;
	if (job->client != NULL && !job->muted)
		held_push_reply(job->client, buffer_slice(&reply));
	buffer_release(&reply);
	if (job->cancelled)
		job_free(server, job);
	else if (state == JOB_DONE)
		job_end(server, job);
}

static bool
must_wait(const struct server *server, const struct job *job)
{
	const struct client *c = job->client;

	if (server->pause->by_script != NULL)
		return job->kind != server->pause->by_script;
	return c != NULL && outbox_reply_bytes(&c->subscriber.outbox) + held_bytes(c) > QUEUED_MAX;
}

/*
 * Runs one step of each job that need not wait, while there is time but at least one; false if
 * there was none. Each job that runs moves to the end; a step may end other jobs, so no pointer to
 * them is kept.
 */
static bool
run_round(struct server *server, uint64_t deadline_us)
{
	uint64_t now_us = clock_mono_us();
	bool any = false;
	struct job *job;
	size_t n;

	for (n = server->jobs->count; n > 0; n--) {
		job = TAILQ_FIRST(&server->jobs->list);
		if (job == NULL || (any && now_us >= deadline_us))
			break;
		TAILQ_REMOVE(&server->jobs->list, job, all);
		TAILQ_INSERT_TAIL(&server->jobs->list, job, all);
		if (must_wait(server, job))
			continue;
		any = true;
		job_run(server, job, now_us + STEP_US);
		now_us = clock_mono_us();
	}
	return any;
}

bool
jobs_run(struct server *server, uint64_t deadline_us)
{
	bool any;

	do {
		any = run_round(server, deadline_us);
	} while (any && clock_mono_us() < deadline_us);
	return any && server->jobs->count > 0;
}
