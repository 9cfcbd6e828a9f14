#ifndef LINK_ENGINE_FRAME_H
#define LINK_ENGINE_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "link/engine_script.h"
#include "pubsub/history.h"
#include "pubsub/hub_follow.h"
#include "pubsub/position.h"

/* Engine frames: what an engine sends of kept messages, read with every value checked. */
struct resp_value;

/* A kept message as it is published. */
struct engine_frame {
	struct hub_position position; /* epoch and seq are at least 1 */
	uint64_t number;              /* of the channel's messages, from 1 on */
	struct slice payload;
	bool deletes; /* it is a mark: see engine_script.h */
};

/* Epochs and numbers are below it, and seqs below the other one: scripts are exact up to there, and
 * a number is at most twice the seq. */
#define ENGINE_NUMBER_MAX ((uint64_t)1 << 53)
#define ENGINE_SEQ_MAX (ENGINE_NUMBER_MAX / 2)

enum engine_frame_result {
	ENGINE_FRAME_NONE,   /* a message that is not kept */
	ENGINE_FRAME_FORGED, /* it begins as a frame, and has not this secret */
	ENGINE_FRAME_BAD,    /* it has the secret, and is no frame */
	ENGINE_FRAME_READ,
};
enum engine_frame_result engine_frame_read(
    struct slice message, struct slice secret, struct engine_frame *frame);

/* The reply of ENGINE_GREET. */
struct engine_greeting {
	struct hub_position newest;
	bool is_same;        /* the history is that which this node has seen */
	struct slice secret; /* of 1 to ENGINE_SECRET_LEN characters */
	struct history_hole holes[HISTORY_HOLES];
	size_t hole_count;
	uint64_t quiet_us; /* for which nothing is to be published */
};
bool engine_greeting_read(const struct resp_value *value, struct engine_greeting *greeting)
    __attribute__((warn_unused_result));

/* The reply of ENGINE_LOAD. */
struct engine_load {
	struct slice channel;
	uint64_t after_seq;           /* as it was asked for */
	struct hub_position newest;   /* of all channels */
	uint64_t floor_seq;           /* no forgotten channel had a message with a higher seq */
	uint64_t number, channel_seq; /* of the channel's newest message; 0: it is forgotten */
	uint64_t start;               /* the number before the channel's first message */
	bool is_cut; /* messages were left out, because one between them and the others is missing
		      */
	struct engine_frame *messages; /* owned; the oldest first, all behind after_seq, with
					  consecutive numbers */
	uint64_t *ages_us;             /* owned; of each */
	size_t count;
	size_t bytes;             /* of the payloads */
	struct engine_frame mark; /* the newest one of the channel, if mark.deletes */
	uint64_t deleted_seq;     /* of the newest message before it */
};

/* False: it is not valid, and nothing is owned. Otherwise the slices are those of value. */
bool engine_load_read(const struct resp_value *value, struct engine_load *load)
    __attribute__((warn_unused_result));
void engine_load_release(struct engine_load *load);

/* The number of the channel's newest message before those of the load. */
uint64_t engine_load_before(const struct engine_load *load);

/*
 * How many messages behind the channel's number `was` are missing before those of the load: 0, a
 * number, or WIRE_MISSED_UNKNOWN. newest_seq: what the node has seen of all channels.
 */
uint64_t engine_load_missed(const struct engine_load *load, uint64_t was, uint64_t newest_seq);

/* Behind which seq all messages of the channel are in the load. */
uint64_t engine_load_complete_seq(const struct engine_load *load);

/* What a hub gets of the load: its messages up to this seq. messages has room for all of them.
 * Borrows load and messages. */
struct hub_loaded engine_load_upto(
    const struct engine_load *load, uint64_t upto_seq, struct hub_loaded_message *messages);

#endif
