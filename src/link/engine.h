#ifndef LINK_ENGINE_H
#define LINK_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "link/engine_script.h"
#include "link/engine_state.h"
#include "pubsub/hub_follow.h"

/*
 * Engine: the history that a node has in common with others at a Redis or Valkey, over a link.
 *
 * The engine gives each kept message a position and a number in its channel, keeps it, and
 * publishes it with both (engine_script.h). Messages come over one connection, so they come in the
 * order of their positions; one whose number is not the next of its channel shows that one was
 * lost, and ends the connection. Of a channel that a node joins it loads what the engine keeps.
 * After the connection was lost, what was published meanwhile is loaded from the newest position
 * that was seen: messages are held until all channels have been, then delivered in the order of
 * their positions. If the engine has lost what this node has seen, history begins anew.
 *
 * It writes commands and takes replies, and knows no hub and no clock. Functions that take what
 * came return NULL or, if the connection is of no use because of it, why: a constant text.
 */
struct engine;
struct history_hole;
struct resp_value;

struct engine_ops {
	/* Whether messages of the channel are kept, and how many (*limits); whether it has a ring.
	 */
	bool (*keeps)(void *arg, struct slice channel, struct engine_limits *limits);
	bool (*has_history)(void *arg, struct slice channel);
	uint64_t (*random)(void *arg); /* 64 random bits */
	/* The highest seq that a position of this node has had, of any epoch. */
	uint64_t (*newest_seq)(void *arg);
	/* History begins at this position, whose seq is not less than newest_seq(): nothing from
	 * before can be resumed. */
	void (*begins)(void *arg, struct hub_position position);
	/* See history_set_holes(). */
	void (*holes)(void *arg, const struct history_hole *holes, size_t count);
	/* Everything up to the seq was told, or is not for this node. */
	void (*moved)(void *arg, uint64_t seq);
	void (*loaded)(void *arg, const struct hub_loaded *loaded);
	/* A message; not kept: its channel is not loaded. */
	void (*message)(
	    void *arg, struct slice channel, struct slice payload, uint64_t seq, bool is_kept);
	/* All messages of the channel were removed; none with a lower seq comes. */
	void (*deleted)(void *arg, struct slice channel, uint64_t seq);
	/* See hub_miss_history(). */
	void (*missed)(void *arg, struct slice channel, uint64_t seq, uint64_t count);
	/* What was loaded of the channel is not valid any more. */
	void (*forgotten)(void *arg, struct slice channel);
};

/* Borrows ops. Returns owned (engine_free). */
struct engine *engine_new(const struct engine_ops *ops, void *arg);
void engine_free(struct engine *engine); /* NULL is allowed */

enum engine_state engine_state_of(const struct engine *engine);

/* The greeting: the run_id of the server, the replies to SCRIPT LOAD of all scripts, in their
 * order, then engine_write_greeting(). */
void engine_opened(struct engine *engine, struct slice run);
const char *engine_take_script(
    struct engine *engine, enum engine_script script, const struct resp_value *value);
void engine_write_greeting(struct engine *engine, struct buffer *out);
const char *engine_take_greeting(struct engine *engine, const struct resp_value *value);

void engine_lost(struct engine *engine);

/* How many channels may be loaded now, besides those that are being loaded. */
size_t engine_load_room(const struct engine *engine);

/* A channel is joined: write this behind a SUBSCRIBE of it. */
void engine_write_load(struct engine *engine, struct slice channel, struct buffer *out);
const char *engine_take_load(struct engine *engine, const struct resp_value *value);
void engine_skip_load(struct engine *engine); /* its SUBSCRIBE was refused */

/* The channel is loaded on this connection. */
bool engine_has(const struct engine *engine, struct slice channel);
/* The channel is subscribed to. True: nothing of it was missed before it was loaded first.
 * Otherwise the caller tells that to its subscribers, now. */
bool engine_confirmed(struct engine *engine, struct slice channel);

/* The same without asking for it: engine_confirmed() would be true. */
bool engine_is_told(const struct engine *engine, struct slice channel);
void engine_left(struct engine *engine, struct slice channel);

/* All channels that are wanted are loaded. */
void engine_joined(struct engine *engine);

/* For the commands that need nothing else of it. Borrows. */
const struct engine_shas *engine_shas_of(const struct engine *engine);

static inline void
engine_write_message(
    const struct engine *engine, const struct engine_message *message, struct buffer *out)
{
	engine_put_publish(out, engine_shas_of(engine), message);
}

/* Removes the messages of a channel: see engine_put_delete(). */
void engine_write_delete(
    struct engine *engine, struct slice channel, uint64_t ttl_ms, struct buffer *out);

/* A message has come by a channel or a pattern. */
enum engine_taking {
	ENGINE_TOOK,
	ENGINE_COPY,   /* it has come before */
	ENGINE_PLAIN,  /* it is not of the engine's history */
	ENGINE_FORGED, /* it looks as if it were; or the history has begun anew: check that */
	ENGINE_WRONG,  /* *why */
};
enum engine_taking engine_take_message(
    struct engine *engine, struct slice channel, struct slice message, const char **why);

/* Asks for the numbers of some channels, others each time. */
#define ENGINE_CHECKED 512
void engine_write_check(struct engine *engine, struct buffer *out);
const char *engine_take_check(struct engine *engine, const struct resp_value *value);

/* Delivers a portion of what is held. True: there is more. */
bool engine_work(struct engine *engine);

/* Held messages may take as much memory; what exceeds it is lost, and history begins anew here. */
#define ENGINE_HELD_BYTES ((size_t)256 << 20)

struct engine_figures {
	struct hub_position position;
	size_t channels;
	uint64_t filled;   /* messages that were missed and loaded */
	uint64_t lost;     /* messages that were missed and could not be had, as far as is known */
	uint64_t anew;     /* times that history has begun anew */
	uint64_t quiet_us; /* nothing is to be published for so long after the last greeting */
};
struct engine_figures engine_figures(const struct engine *engine);

#endif
