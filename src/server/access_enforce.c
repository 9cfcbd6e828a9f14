#include "config.h"

#include "acl/check.h"
#include "acl/user.h"
#include "base/alloc.h"
#include "base/clock.h"
#include "pubsub/hub.h"
#include "pubsub/queue_group.h"
#include "resp/writer.h"
#include "server/access.h"
#include "server/client.h"
#include "server/client_end.h"
#include "server/client_walk.h"
#include "server/clients.h"
#include "server/door.h"
#include "server/job.h"
#include "server/request.h"

/*
 * Applies changed rules to connected clients, in slices, because there may be a million
 * subscriptions to check. The request that changed the rules gets its reply at the end. If its
 * client leaves earlier, the check is completed nevertheless.
 */
#define AT_ONCE_US 1000
#define A_LOOK 64

/* The kind behind those of subscriptions: members of channels that the client has joined. */
#define JOINS HUB_KINDS
/* ... and memberships of queue groups. */
#define QUEUES (JOINS + 1)

struct enforce {
	struct client_walk walk;
	struct acl_user *user; /* a reference: only its clients; NULL: all */
	uint64_t at_id;        /* the client whose subscriptions are being checked; 0: none */
	uint32_t left;         /* its subscriptions or joins still to be checked */
	int kind;              /* enum hub_kind, JOINS or QUEUES */
	int64_t deleted;       /* the reply; -1: OK */
	size_t units;
	bool ends_self;
	bool done;
};

static const struct job_kind enforce_kind;

static void
release(struct enforce *e)
{
	if (e->user != NULL)
		acl_user_unref(e->user);
	xfree(e);
}

static void
enforce_free(void *state)
{
	struct enforce *e = state;
	struct server *server = e->walk.server;

	if (!e->done && !TAILQ_EMPTY(&server->clients->open))
		job_start(server, NULL, &enforce_kind, e);
	else
		release(e);
}

static bool
is_over(struct enforce *e, uint64_t deadline_us)
{
	return ++e->units % A_LOOK == 0 && clock_mono_us() >= deadline_us;
}

static void
end_client(struct enforce *e, struct client *c, const struct client *self)
{
	const char *reason = "its user lost the permission for a subscription";

	if (c->user->deleted)
		reason = "its user was deleted";
	else if (e->kind == JOINS)
		reason = "its user lost the permission for a channel that it joined as a member";
	e->at_id = 0;
	if (c == self)
		e->ends_self = true;
	else
		client_dismiss(c, DOOR_END_DENIED, reason);
}

static void
begin_kind(struct enforce *e, const struct client *c, int kind)
{
	e->kind = kind;
	if (kind < HUB_KINDS)
		e->left = c->subscriber.count[kind];
	else
		e->left = kind == JOINS ? client_join_count(c) : hub_queues_of(&c->subscriber);
}

/* The name of the first subscription or membership of this kind, or the channel of the first join.
 * Returns false if there is none. */
static bool
first_name(struct client *c, int kind, struct slice *name, bool *is_pattern)
{
	const struct queue_member *member;
	struct subscription *s;

	*is_pattern = kind == HUB_PATTERN;
	if (kind == JOINS)
		return c->session != NULL && presence_first_join(&c->session->presence, name);
	if (kind == QUEUES) {
		member = hub_first_queue(&c->subscriber);
		if (member == NULL)
			return false;
		*name = queue_member_name(member);
		*is_pattern = queue_member_kind(member) == HUB_PATTERN;
		return true;
	}
	s = hub_first_subscription(&c->subscriber, (enum hub_kind)kind);
	if (s != NULL)
		*name = topic_name(s->topic);
	return s != NULL;
}

static void
rotate(struct client *c, int kind)
{
	if (kind == JOINS)
		presence_rotate_joins(&c->session->presence);
	else if (kind == QUEUES)
		hub_rotate_queues(&c->subscriber);
	else
		hub_rotate_subscriptions(&c->subscriber, (enum hub_kind)kind);
}

static bool
may_receive(const struct client *c, struct slice name, bool is_pattern)
{
	const struct door *door = client_door(c);

	return door != NULL ? door->ops->may_receive(c, name, is_pattern)
			    : acl_may_receive(c->user, name, is_pattern);
}

/*
 * Checks the first subscription or join and moves it to the end of the list, once for each
 * subscription that existed at the beginning. Later subscriptions need no check: the new rules
 * already applied to them. False: the time is up before the end.
 */
static bool
check_subscriptions(
    struct enforce *e, struct client *c, const struct client *self, uint64_t deadline_us)
{
	while (e->kind <= QUEUES) {
		struct slice name;
		bool is_pattern;

		if (e->left == 0 || !first_name(c, e->kind, &name, &is_pattern)) {
			begin_kind(e, c, e->kind + 1);
			continue;
		}
		if (!may_receive(c, name, is_pattern)) {
			end_client(e, c, self);
			return true;
		}
		rotate(c, e->kind);
		e->left--;
		if (is_over(e, deadline_us))
			return false;
	}
	e->at_id = 0;
	return true;
}

/* True if the subscriptions of the client must be checked. */
static bool
is_concerned(const struct enforce *e, const struct client *c)
{
	/* A client with a door that is ending gets no message any more, but its last reply. */
	if (client_door(c) != NULL && !client_is_open(c))
		return false;
	return e->deleted < 0 && (e->user == NULL || e->user == c->user) &&
	       !c->user->unrestricted && (client_subscriptions(c) > 0 || client_join_count(c) > 0);
}

static bool
check_clients(struct enforce *e, const struct client *self, uint64_t deadline_us)
{
	struct client *c;

	for (;;) {
		c = e->at_id != 0 ? client_by_id(e->walk.server, e->at_id) : NULL;
		if (c != NULL && !check_subscriptions(e, c, self, deadline_us))
			return false;
		e->at_id = 0;
		c = client_walk_next(&e->walk);
		if (c == NULL)
			return true;
		if (c->user->deleted) {
			end_client(e, c, self);
		} else if (is_concerned(e, c)) {
			e->at_id = c->id;
			begin_kind(e, c, HUB_CHANNEL);
		}
		if (is_over(e, deadline_us))
			return false;
	}
}

static enum job_state
enforce_step(void *state, struct job_step *step)
{
	struct enforce *e = state;

	if (!check_clients(e, step->client, step->deadline_us))
		return JOB_MORE;
	e->done = true;
	if (step->client == NULL)
		return JOB_DONE;
	if (e->deleted < 0)
		resp_put_simple(step->reply, "OK");
	else
		resp_put_int(step->reply, e->deleted);
	if (e->ends_self)
		client_finish(step->client);
	return JOB_DONE;
}

static const struct job_kind enforce_kind = {"acl", enforce_step, enforce_free};

void
access_enforce(struct server *server, struct request *rq, struct acl_user *user, int64_t deleted)
{
	struct enforce *e = xcalloc(1, sizeof(*e));
	struct job_step step = {server, rq != NULL ? rq->client : NULL,
	    rq != NULL ? rq->reply : NULL, .deadline_us = clock_mono_us() + AT_ONCE_US};

	client_walk_init(&e->walk, server);
	e->user = user != NULL ? acl_user_ref(user) : NULL;
	e->deleted = deleted;
	if (enforce_step(e, &step) == JOB_DONE)
		enforce_free(e);
	else
		job_start(server, step.client, &enforce_kind, e);
}
