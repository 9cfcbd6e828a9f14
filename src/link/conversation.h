#ifndef LINK_CONVERSATION_H
#define LINK_CONVERSATION_H

#include "base/buffer.h"
#include "link/catch_up.h"
#include "link/copies.h"
#include "link/expected.h"
#include "link/interest.h"
#include "link/link_ops.h"
#include "link/link_state.h"
#include "link/peer.h"

/* Conversation: the state of a link, and the commands that it sends. For the files of link.h only.
 */
struct engine;
struct engine_presence;
struct resp_reader;

struct link {
	const struct link_config *config;
	const struct link_ops *ops;
	void *arg;
	enum link_state state;
	struct interest *interest; /* owned */
	struct resp_reader *reader;
	struct buffer out;
	struct link_expected expected;
	struct link_copies copies;
	struct catch_up catch_up;
	struct buffer settled_by; /* a name that was resumed, by which the upstream says how far it
				     has sent kept messages; empty: there is none */
	enum hub_kind settled_by_kind;
	bool has_positions; /* the upstream puts them in front of payloads */
	bool has_aimed;     /* it was asked for its newest position, after the last name */
	uint64_t opened_us;
	uint64_t probe; /* the number of the newest one */
	uint64_t probe_sent_us;
	uint64_t replied_us;      /* the newest reply to a command before the probe */
	uint64_t heard_us;        /* the newest message */
	bool probe_is_awaited;    /* its message */
	bool probe_is_unanswered; /* its PUBLISH */
	struct buffer channel;    /* of the probes */
	struct peer peer;
	struct engine *engine;            /* owned; NULL: the upstream is none */
	struct engine_presence *presence; /* owned; NULL: there is none */
	struct buffer ahead; /* names of the next command that are loaded, each behind its length */
	size_t ahead_count;
	bool skips_loads;        /* the SUBSCRIBE in front of them was refused */
	uint64_t joined_mark;    /* of `interest`: then all names of the greeting are answered */
	uint64_t quiet_until_us; /* until then nothing is published; 0: it is over */
	uint64_t checked_us;     /* when the engine was asked for a check last */
	bool probe_has_moved;    /* the node does not serve its channel: the next one comes soon */
	bool awaits_topology;
	struct buffer cluster_info; /* the reply that comes before that to CLUSTER SLOTS */
	struct link_figures figures;
};

/* A step in its life. */
void link_advance(struct link *link, enum link_event event);

/* Ends the connection: the link is down afterwards. The second one adds what the upstream said. */
void link_drop(struct link *link, const char *why);
void link_drop_for(struct link *link, const char *why, struct slice error);

/* Commands. Each is expected to be answered. */
void link_send_hello(struct link *link);
void link_send_info(struct link *link);
void link_send_options(struct link *link); /* OUTBOX SET */
void link_send_message(
    struct link *link, enum hub_kind kind, struct slice channel, struct slice payload);
void link_ask_role(struct link *link); /* of the upstream, by HELLO */
void link_send_probe(struct link *link, uint64_t now_us);
void link_ask_position(struct link *link);
void link_ask_whether_settled(struct link *link);
void link_send_scripts(struct link *link); /* of an engine */
void link_send_greeting(struct link *link);
void link_send_check(struct link *link, uint64_t now_us);
void link_send_claims(struct link *link, uint64_t now_us); /* that are due */

/* Writes a command of interest.h, with what goes in front of it. */
struct interest_command link_send_interest(struct link *link, uint64_t now_us);

#endif
