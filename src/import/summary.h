#ifndef IMPORT_SUMMARY_H
#define IMPORT_SUMMARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "import/source.h"

/*
 * What an import has done: the keys of each type, and by name whatever is missing now, with the
 * first reason. It is told the outcome of every command, in their order. It knows neither how they
 * were carried out nor where.
 */
enum import_outcome {
	IMPORT_DONE,
	IMPORT_NOT_HERE, /* the command is unknown */
	IMPORT_REFUSED,  /* it returned an error */
	IMPORT_OUTCOMES,
};

/* Names beyond this number are counted together. */
#define IMPORT_NAMES_MAX 64

struct import_name {
	enum import_outcome outcome;
	char *name, *reason; /* owned */
	uint64_t count;
};

/* Initially zero. */
struct import_summary {
	uint64_t keys[RDB_TYPES]; /* created as a whole */
	uint64_t functions, commands;
	struct import_name names[IMPORT_NAMES_MAX];
	size_t name_count;
	bool in_key; /* the key whose commands come now: */
	enum rdb_type type;
	enum import_outcome outcome; /* the worst so far */
	struct buffer reason;
};

void import_summary_release(struct import_summary *summary);

/* What must be known of a command when its outcome is. */
struct import_note {
	enum import_part part;
	enum rdb_type type;
	bool begins_key;
	size_t claims; /* pending entries of a snapshot's stream: XCLAIM replies with each */
	char name[24]; /* of the command, in capitals and shortened; empty if it is not needed */
};

struct import_note import_note(const struct import_command *command);

/* reason: the error. */
void import_summary_add(struct import_summary *summary, const struct import_note *note,
    enum import_outcome outcome, struct slice reason);

/* What a module wrote (rdb/commands.h). */
void import_summary_module(void *summary, struct slice name, bool is_key);

/* After the last command. */
void import_summary_end(struct import_summary *summary);

/* True if something is missing, expired and empty keys apart. */
bool import_summary_has_gaps(const struct import_summary *summary);

/* Writes a line for what was imported, and one for everything that is missing. */
void import_summary_write(const struct import_summary *summary, const struct rdb_left_out *left_out,
    void (*line)(void *arg, const char *text, bool is_gap), void *arg);

#endif
