#ifndef PUBSUB_TESTING_FOLLOW_H
#define PUBSUB_TESTING_FOLLOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pubsub/hub.h"
#include "pubsub/position.h"

/*
 * For tests: a source that publishes messages at random and gives them positions, and nodes that
 * follow it. A node gets the events of the source in their order, sooner or later, or misses some;
 * it keeps the messages of the channels that it has joined.
 *
 * The text of a message is "c:number xxx", where c is its channel, a to f.
 */
#define FOLLOW_CHANNELS 6
#define FOLLOW_NODES 2
#define FOLLOW_LENGTH_MAX 90
#define FOLLOW_KEPT_MAX 60 /* tests set history-message-bytes to it */

struct follow_message {
	struct hub_position at;
	uint64_t at_us;
	size_t len;
};

/* Message n of a channel is the n-th one, from 1 on. */
struct follow_truth {
	struct follow_message *messages;
	size_t count, room;
	size_t trimmed; /* the source does not keep the messages up to this one */
};

struct follow_event {
	size_t channel; /* FOLLOW_CHANNELS: positions begin anew */
	size_t number;
	struct hub_position at;
};

struct follow_node {
	struct hub *hub; /* the test's */
	size_t next;     /* event */
	struct hub_position at, bottom;
	size_t count[FOLLOW_CHANNELS]; /* messages that it has seen, or missed */
	bool has[FOLLOW_CHANNELS];     /* the channel is joined */
};

struct follow {
	struct follow_truth truth[FOLLOW_CHANNELS];
	struct follow_node nodes[FOLLOW_NODES];
	struct follow_event *events;
	size_t event_count, event_room;
	struct hub_position top, bottom; /* of the source: the newest, and where the epoch began */
	uint64_t seed, now_us;
	uint64_t loads, misses, anew; /* how often it happened */
};
extern struct follow follow;

void follow_begin(uint64_t seed); /* nodes without hubs */
void follow_end(void);            /* frees the truth */

size_t follow_random(size_t n); /* below n */
struct slice follow_name(size_t channel);
size_t follow_count_upto(size_t channel, struct hub_position at);

/* The source. */
void follow_publish(void);
void follow_trim(size_t channel);
void follow_begin_anew(void);

/* A node. follow_join: before somebody subscribes. follow_miss: it misses some of the next
 * events. */
bool follow_is_late(const struct follow_node *node);
void follow_take(struct follow_node *node); /* the next event; it is late */
void follow_join(struct follow_node *node, size_t channel);
void follow_leave(struct follow_node *node, size_t channel);
void follow_miss(struct follow_node *node);

#endif
