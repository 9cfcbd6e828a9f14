#ifndef LINK_CLUSTER_GLOBS_H
#define LINK_CLUSTER_GLOBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/rate_limit.h"
#include "link/globs_frame.h"
#include "link/globs_state.h"
#include "link/slots.h"
#include "server/upstream.h"

/*
 * The globs of the nodes of a cluster, whose sharded channels have no patterns. For the files of
 * cluster.h only.
 *
 * Each node with patterns has a feed: a channel in each slot. A node that publishes a message sends
 * a copy to the feed of each node with a glob that matches, in the slot of the message and together
 * with it, so that copies have the order of the messages. Nodes tell each other their globs
 * (globs_frame.h) through GLOBS_CHANNEL; each has an inbox in the slot of that for what is for it
 * alone.
 *
 * A pattern is in force when its globs were acknowledged by as many nodes as have heard them, and
 * the feed is joined. A node asks for the globs of all others when it joins the channel, and
 * publishers wait for the answers. So of two nodes, one always knows that the other is there. A
 * node that publishes without knowing says so afterwards, and all subscribers of patterns are told
 * that messages may be missing.
 */
#define GLOBS_CHANNEL "fanfare:globs"
#define GLOBS_FEED "fanfare:feed:"
#define GLOBS_NAME_MAX (sizeof(GLOBS_FEED) + sizeof(GLOBS_CHANNEL) + GLOBS_ID_MAX + 16)

struct cluster;
struct shard;
struct unanswered_message;

/* A question to all nodes, which each of them answers. */
struct globs_question {
	struct shard *shard; /* to which it was sent */
	uint64_t tell;       /* the number of its link_tell() there */
	uint64_t nonce;
	uint64_t sent_us;
	uint64_t receivers; /* UINT64_MAX: not known yet */
	uint64_t answers;
};

/* Whether messages were published without copies because not all globs were known. */
enum globs_missed {
	GLOBS_NONE_MISSED,
	GLOBS_MISSED, /* the other nodes are to be told */
	GLOBS_MISSED_TOLD,
};

struct cluster_globs {
	enum globs_state state;
	enum globs_missed missed;
	struct globs_own *own;     /* owned */
	struct globs_known *known; /* owned */
	struct globs_question question;
	uint64_t lost_us;    /* when it was GLOBS_LOST last */
	uint64_t hears_us;   /* since when it is GLOBS_JOINED or more */
	uint64_t ask_us;     /* then it asks again */
	uint64_t refresh_us; /* then it says again what it has */
	uint64_t tick_us;
	uint64_t changes; /* of what clients wait for: for shard_marks.h */
	uint16_t slot;    /* of GLOBS_CHANNEL */
	char inbox[GLOBS_NAME_MAX];

	enum feed_state feed;
	size_t added; /* so many channels of the feed are wanted: those of the first slots */
	uint16_t joined_at[SLOTS]; /* the shard where the channel is held, or SHARD_NONE */
	struct slot_numbers tags;  /* of the channels */
	bool is_changed;           /* joined_at, or which shards there are */
	bool is_whole;             /* all channels are held whose shards have a link */
	bool is_refused;           /* the feed */
	bool is_marked;            /* subscribers were told of a gap, and got no message since */

	struct rate_limit log_limit;
	uint64_t sent, received; /* copies */
	uint64_t posted;         /* of these: that did not come by their channels as well */
	uint64_t heard;          /* all that came by these channels */
	uint64_t strange;        /* of this: what no node sends */
};

struct cluster_globs *cluster_globs_new(struct cluster *cluster); /* returns owned */
void cluster_globs_free(struct cluster_globs *globs);

/* What the server and the hub want. */
void cluster_globs_interest(struct cluster *cluster, struct slice glob, bool is_wanted);
enum upstream_need cluster_globs_need(struct cluster *cluster, struct slice glob, uint64_t *mark);
bool cluster_globs_hold_back(struct cluster *cluster); /* publishers have to wait */
void cluster_globs_figures(const struct cluster *cluster, struct upstream_figures *out);

/* Returns the time until the next call. */
uint64_t cluster_globs_turn(struct cluster *cluster);

/* What a shard's link tells. True: the name is one of those above, and everything is done. */
bool cluster_globs_take(struct shard *shard, struct slice channel, struct slice payload);
bool cluster_globs_joined(struct shard *shard, struct slice name);
bool cluster_globs_left(struct shard *shard, struct slice name);
void cluster_globs_told(struct shard *shard, struct slice error, uint64_t receivers);
void cluster_globs_lost(struct shard *shard);
/* Another shard serves the slot from now on. */
void cluster_globs_moved(struct cluster *cluster, uint16_t slot);

/* Sends the message with the copies that are wanted. */
void cluster_globs_publish(struct shard *shard, const struct unanswered_message *message);

/* cluster_feed.c */
void cluster_feed_want(struct cluster *cluster, struct slice name, bool is_wanted);
uint64_t cluster_feed_turn(struct cluster *cluster);
bool cluster_feed_has(const struct cluster *cluster, struct slice name);
void cluster_feed_take(struct shard *shard, struct slice channel, struct slice copy);
void cluster_feed_joined(struct shard *shard, uint16_t slot);
void cluster_feed_left(struct shard *shard, uint16_t slot);
void cluster_feed_lost(struct shard *shard);
void cluster_feed_moved(struct cluster *cluster, uint16_t slot);
void cluster_feed_publish(struct shard *shard, const struct unanswered_message *message);

/* cluster_announce.c */
struct slice cluster_own_id(const struct cluster *cluster);
void cluster_globs_put_inbox(char out[GLOBS_NAME_MAX], struct slice id); /* of a node */
uint64_t cluster_globs_probe_us(const struct cluster *cluster);
struct shard *cluster_globs_shard(const struct cluster *cluster); /* of GLOBS_CHANNEL; or NULL */
bool cluster_globs_is_asking(const struct cluster *cluster);
void cluster_globs_announce(struct cluster *cluster, enum globs_wanted wanted);

/* A step in what is known. */
void cluster_globs_advance(struct cluster *cluster, enum globs_event event);
/* Messages for patterns may be missing. */
void cluster_globs_mark(struct cluster *cluster);
/* Something that clients wait for may have come. */
void cluster_globs_change(struct cluster *cluster);
/* A stranger has published something. */
void cluster_globs_note_strange(struct cluster *cluster, const char *what);

#endif
