#ifndef LINK_ENGINE_CHANNELS_H
#define LINK_ENGINE_CHANNELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/bytes.h"

/* Engine channels: those that a node has loaded from its engine, each with the connection on which
 * that was last: a session. Those of older sessions come first. */
struct hash_map;

struct engine_channel {
	TAILQ_ENTRY(engine_channel) link;
	uint64_t number; /* of the newest message that was delivered */
	/* Messages up to this number are told as missing, though some of them are held. */
	uint64_t gap;
	uint32_t session;
	bool is_partial; /* it was not known before, and a gap is not told: it is as unknown */
	bool is_told;    /* what was missed before it was known is told to its subscribers */
	uint32_t len;
	char bytes[];
};

TAILQ_HEAD(engine_channel_list, engine_channel);

struct engine_channels {
	struct hash_map *by_name;
	struct engine_channel_list list;
};

void engine_channels_init(struct engine_channels *channels);
void engine_channels_release(struct engine_channels *channels);
size_t engine_channels_count(const struct engine_channels *channels);

struct slice engine_channel_name(const struct engine_channel *channel);
struct engine_channel *engine_channels_find(
    const struct engine_channels *channels, struct slice name); /* NULL: there is none */

/* The channel, which is new or not, is loaded in this session. */
struct engine_channel *engine_channels_put(
    struct engine_channels *channels, struct slice name, uint32_t session);
void engine_channels_remove(struct engine_channels *channels, struct engine_channel *channel);
void engine_channels_clear(struct engine_channels *channels);

/* The first channel of an older session than this one; NULL: there is none. */
struct engine_channel *engine_channels_older(
    const struct engine_channels *channels, uint32_t session);

/* The first channel, which becomes the last one; all are of the same session. NULL: there is none.
 */
struct engine_channel *engine_channels_rotate(struct engine_channels *channels);

#endif
