#ifndef LINK_TESTING_CLAIMER_H
#define LINK_TESTING_CLAIMER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "link/engine_claims.h"

/* Claims of a node, with a connection to an engine in memory: commands that the engine has not
 * executed yet, and replies that the node has not read yet. */
struct resp_parser;
struct resp_reader;
struct testing_engine;

struct claimer {
	struct engine_claims *claims;
	struct testing_engine *engine;
	struct resp_parser *parser;
	struct resp_reader *reader;
	struct buffer out;
	size_t at;       /* of out: executed up to here */
	size_t executed; /* commands of this connection whose replies were not read */
};

/* Clears it first. Borrows all. */
void claimer_init(struct claimer *claimer, struct testing_engine *engine,
    const struct engine_claims_ops *ops, void *arg, const char *node);
void claimer_release(struct claimer *claimer);

/* Returns the number of commands. */
size_t claimer_write(struct claimer *claimer, uint64_t now_us);
/* The engine executes one command. False: there is none. */
bool claimer_execute(struct claimer *claimer);
/* The node reads one reply. False: there is none. */
bool claimer_read(struct claimer *claimer, uint64_t now_us);
/* Both, until nothing is left. */
void claimer_serve(struct claimer *claimer, uint64_t now_us);

/* Gives this reply instead of the next one, which must be expected. Returns what the claims say. */
const char *claimer_reply(struct claimer *claimer, struct slice reply, uint64_t now_us);

void claimer_lose(struct claimer *claimer); /* the connection; a new one begins */

#endif
