#ifndef LINK_TESTING_ENGINE_H
#define LINK_TESTING_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "link/engine_script.h"
#include "link/testing_claims.h"

/*
 * An engine in memory: what the scripts of engine_script.h do at a server, with limits on names and
 * payloads. It has no pointers but that of the operation, so a copy is a snapshot.
 */
#define TESTING_CHANNELS 12
#define TESTING_STREAM 24 /* messages */
#define TESTING_TEXT 40   /* bytes of a name, a payload or a run_id, with a NUL */
#define TESTING_HOLES 64

struct testing_entry {
	uint64_t epoch, seq, number, at_ms;
	char payload[TESTING_TEXT];
};

struct testing_channel {
	char name[TESTING_TEXT];
	bool is_known; /* it is in fanfare:channels */
	uint64_t number, seq, start;
	uint64_t mark_number, mark_last, mark_seq; /* seq 0: there is none */
	bool has_stream;
	size_t count;
	struct testing_entry entries[TESTING_STREAM];
};

struct testing_engine {
	char run[TESTING_TEXT]; /* of the server */
	bool has_scripts[ENGINE_SCRIPTS];
	bool exists; /* fanfare:engine and fanfare:channels */
	uint64_t epoch, seq, floor;
	char seen_run[TESTING_TEXT], secret[ENGINE_SECRET_LEN + 1];
	struct testing_channel channels[TESTING_CHANNELS];
	uint64_t holes[TESTING_HOLES]; /* the seq before each */
	size_t holes_count;
	struct testing_claims claims;
	uint64_t now_ms;
	uint64_t quiet_ms; /* until then nobody publishes */
	uint64_t load_max; /* messages of a load; 0: as many as are asked for */
	bool sweeps;       /* the next check forgets channels without a stream */
	void (*publish)(void *arg, struct slice channel, struct slice payload);
	void *arg;
};

void testing_engine_init(struct testing_engine *engine, const char *run);

/* Executes SCRIPT LOAD or EVALSHA, and appends the reply. False: it is another command. */
bool testing_engine_execute(
    struct testing_engine *engine, const struct slice *args, size_t count, struct buffer *reply);

/* The script of an EVALSHA. */
enum engine_script testing_engine_script(const struct slice *args, size_t count);

/* The server is another process; its data is what it is. */
void testing_engine_restart(struct testing_engine *engine, const char *run);
void testing_engine_flush(struct testing_engine *engine); /* all data is lost */
void testing_engine_expire(struct testing_engine *engine, const char *channel); /* its stream */

/* NULL: it has no such channel. */
struct testing_channel *testing_engine_find(struct testing_engine *engine, const char *channel);

#endif
