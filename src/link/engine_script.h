#ifndef LINK_ENGINE_SCRIPT_H
#define LINK_ENGINE_SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "link/engine_call.h"
#include "pubsub/position.h"

/*
 * Engine scripts: what nodes keep at their engine, a Redis or Valkey, and the commands for it.
 *
 * fanfare:engine is a hash. epoch and seq: of the newest position. secret: a random text that makes
 * kept messages known from what clients publish. run: the run_id of the server that last gave
 * positions. holes: ranges of seqs that were left out when another server took over, which may lack
 * the newest messages of the one before: "FIRST-LAST FIRST-LAST ...", the last ENGINE_HOLES of
 * them. quiet: until when, in us of its own time, nodes do not publish after another server took
 * over: one of them may have seen what it lacks. floor: the highest seq of the channels that were
 * forgotten. cursor: for forgetting.
 *
 * fanfare:channels is a hash from each channel to "N SEQ START": the number and the seq of its
 * newest message, and the number before its first one. A channel that is new, or was forgotten,
 * begins with twice its seq as the number, which is higher than any that it had, and which no later
 * message of it has. The field ENGINE_MARKER
 * shows that the hash is whole. fanfare:history:CHANNEL is a stream with the kept messages of a
 * channel, under their positions: the number n, the time t in ms and the payload p.
 *
 * For each queue group with members at a node: fanfare:claims:EPOCH:KIND:LEN:GROUP:NAME is a sorted
 * set with "SEQ NODE" under the seq of each message that a node has claimed, of the newest
 * ENGINE_CLAIMS. LEN is that of GROUP. fanfare:claimers:KIND:LEN:GROUP:NAME is a hash from each
 * node with members, that has been heard of within 30 s, to "MEMBERS SECONDS".
 *
 * All are written by scripts, each of which is executed as one step. A message that is kept is
 * published as ENGINE_FRAME, then "SECRET EPOCH-SEQ N " and the payload.
 *
 * When the messages of a channel are removed, a mark with a position of its own takes their place
 * among the messages that are published: it has "Nd" in place of N, the number of the newest
 * message before it, and no payload. fanfare:channels then has "N SEQ START" and " DN DSEQ MARK"
 * behind it: the number and the seq of that message, and the seq of the mark.
 */
#define ENGINE_FRAME "\0ff1 " /* begins with a NUL, which text does not */
#define ENGINE_FRAME_LEN 5
#define ENGINE_SECRET_LEN 32 /* hexadecimal digits */
#define ENGINE_QUIET_US 3000000

/* The newest messages of a channel that one load returns, and their bytes, at most. */
#define ENGINE_LOAD_MESSAGES 10000
#define ENGINE_LOAD_BYTES ((size_t)8 << 20)

enum engine_script {
	ENGINE_GREET, /* creates what is missing, and checks whether the history is that of before
		       */
	ENGINE_PUBLISH,
	ENGINE_LOAD,   /* the kept messages of a channel */
	ENGINE_CHECK,  /* the numbers of channels that are not what they are thought to be */
	ENGINE_CLAIM,  /* which messages of a queue group are for this node */
	ENGINE_DELETE, /* removes the messages of a channel */
};
#define ENGINE_SCRIPTS (ENGINE_DELETE + 1)

/* SHA-1 of each script in hexadecimal, as the engine has returned it. */
struct engine_shas {
	char text[ENGINE_SCRIPTS][ENGINE_SHA_LEN + 1];
};

/* Why a link ends after an error reply that does not pass; the error follows it. */
#define ENGINE_CANNOT "the upstream cannot be an engine: "

/* The server takes no writes now, and may take them later. */
bool engine_error_passes(struct slice error);

/* SCRIPT LOAD. */
void engine_put_script(struct buffer *out, enum engine_script script);

/* What a node says when it greets. */
struct engine_hello {
	struct slice run;           /* run_id of the engine */
	struct hub_position newest; /* that this node has seen; epoch 0: none */
	uint64_t newest_seq; /* of its positions of any epoch: the engine does not fall behind */
	const char *secret;  /* that is used if there is none, of ENGINE_SECRET_LEN digits */
};
void engine_put_greet(
    struct buffer *out, const struct engine_shas *shas, const struct engine_hello *hello);

struct engine_message {
	struct slice channel, payload;
	uint32_t
	    size; /* messages that the channel keeps; 0: this one is not kept, nor any before */
	uint64_t ttl_ms;
};

/* The reply is the position, or 1 if the message is not kept. */
void engine_put_publish(
    struct buffer *out, const struct engine_shas *shas, const struct engine_message *message);

/* The reply is the position of the mark, or 1 if the engine keeps nothing of the channel. */
void engine_put_delete(
    struct buffer *out, const struct engine_shas *shas, struct slice channel, uint64_t ttl_ms);

/* What a node keeps of a channel. */
struct engine_limits {
	uint64_t messages, bytes;
};

/* Messages behind after_seq. */
void engine_put_load(struct buffer *out, const struct engine_shas *shas, struct slice channel,
    const struct engine_limits *limits, uint64_t after_seq);

/* For `count` channels, maybe none; engine_put_checked() follows for each. */
void engine_put_check(struct buffer *out, const struct engine_shas *shas, size_t count);
void engine_put_checked(struct buffer *out, struct slice channel, uint64_t number);

/* Claims of one queue group that are kept, and messages that one command claims or asks about. */
#define ENGINE_CLAIMS 10000
#define ENGINE_CLAIMED 512

struct engine_claim {
	struct slice key; /* KIND:LEN:GROUP:NAME */
	struct slice node;
	uint64_t members; /* at this node; 0: it does not want messages any more */
	uint64_t ttl_ms;  /* from now on, of all claims */
	uint64_t epoch;   /* of the seqs */
	size_t count;     /* engine_put_claimed() follows for each */
};

/*
 * The reply is an array: first an array with a number for each seq, 0: another node has claimed it,
 * 1: this one has, 2: nobody, 3: it is before those that are kept. Then the nodes that have
 * members, sorted, each followed by the text of their number.
 */
void engine_put_claim(
    struct buffer *out, const struct engine_shas *shas, const struct engine_claim *claimed);
void engine_put_claimed(struct buffer *out, uint64_t seq, bool asks); /* asks: claims nothing */

#endif
