#ifndef LINK_ENGINE_PRESENCE_H
#define LINK_ENGINE_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "link/engine_presence_state.h"
#include "link/expected.h"

/*
 * Engine presence: the conversation of a node with its engine (engine.h) about the members of
 * channels, which all nodes have in common (presence_script.h).
 *
 * The node has a lease at the engine, which it renews regularly. Under the lease it tells changes
 * of its own members, which the engine numbers among those of other nodes. If the lease has ended,
 * or the engine is another process, which may lack what was told, the node takes a new id and tells
 * everything again; what it had under the old one ends with the old lease. A change whose answer
 * did not come is told again, as it is then. Members of a node whose lease has ended are removed by
 * the other nodes; what several of them do at once is done once.
 *
 * A node with nothing to tell or to ask sends nothing: the scripts are loaded, and the lease
 * begins, with the first change or query, and from then on with each connection.
 *
 * It writes commands and takes replies, and knows no server and no clock. All times are in us.
 */
struct buffer;
struct engine_presence;
struct resp_value;
struct upstream_presence_answer;
struct upstream_presence_change;
struct upstream_presence_query;

/* What it needs of its owner, and tells. They may call engine_presence_change() and
 * engine_presence_ask(). */
struct engine_presence_ops {
	uint64_t (*random)(void *arg); /* 64 random bits */
	/* Whether the channel of an event keeps messages: then how many and how long, see struct
	 * engine_message. */
	bool (*keeps)(
	    void *arg, struct slice channel, struct slice event, uint32_t *size, uint64_t *ttl_ms);
	/* See server_presence_told(), _register(), _state(), _expired() and _answered(). */
	void (*told)(void *arg, bool is_published);
	void (*registers)(void *arg);
	void (*state)(void *arg, struct slice channel, struct slice member,
	    struct upstream_presence_change *out);
	void (*expired)(void *arg, struct slice channel, struct slice member, struct slice info,
	    struct upstream_presence_change *out);
	void (*answered)(void *arg, uint64_t ticket, const struct upstream_presence_answer *answer);
	/* The engine has refused a change for good: it is not told again. */
	void (*skipped)(void *arg);
	/* Queries can be asked; or changes can be told again, and what was told before is known. */
	void (*has_room)(void *arg);
};

/* Borrows all. Commands are written to out, and their replies are expected. Returns owned
 * (engine_presence_free). */
struct engine_presence *engine_presence_new(const struct engine_presence_ops *ops, void *arg,
    struct buffer *out, struct link_expected *expected);
void engine_presence_free(struct engine_presence *presence); /* NULL is allowed */

/* The connection: the run_id of the server, and its scripts; the engine is greeted; the link is up;
 * the connection is lost. What was asked is not answered any more then. */
void engine_presence_opened(struct engine_presence *presence, struct slice run);
void engine_presence_greeted(struct engine_presence *presence, uint64_t now_us);
void engine_presence_linked(struct engine_presence *presence, uint64_t now_us);
void engine_presence_lost(struct engine_presence *presence);

/* Something is to be told or asked. True: the engine has the scripts, so that engine_presence_ask()
 * can be called while the link is up; else ops->has_room() says when. */
bool engine_presence_want(struct engine_presence *presence);

/* All that ops->registers() has asked for was told. */
void engine_presence_registered(struct engine_presence *presence);

/* Renews the lease and tells again what is due. Returns the time until the next call. The lease is
 * renewed every renew_us, and ends after three times as long. */
uint64_t engine_presence_turn(struct engine_presence *presence, uint64_t now_us, uint64_t renew_us);

/* The reply to one of its commands; an error is a reply like others. NULL, or why the connection is
 * of no use: a constant text; if value is an error, it belongs behind that. */
const char *engine_presence_take(struct engine_presence *presence, enum link_answer_kind kind,
    const struct resp_value *value, uint64_t now_us);

/* A change can be told: see struct upstream_presence_ops. */
#define ENGINE_PRESENCE_CHANGES 512
#define ENGINE_PRESENCE_CHANGE_BYTES ((size_t)1 << 20)
bool engine_presence_has_room(const struct engine_presence *presence);
void engine_presence_change(
    struct engine_presence *presence, const struct upstream_presence_change *change);

/* Only while the link is up, after engine_presence_want(). 0: too many answers are awaited; else
 * the ticket, which grows. */
uint64_t engine_presence_ask(
    struct engine_presence *presence, const struct upstream_presence_query *query);

/* Nothing more is told, and the lease ends at this time. */
void engine_presence_end(struct engine_presence *presence, uint64_t lease_ms);

#endif
