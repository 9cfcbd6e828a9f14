#ifndef PERSIST_AOF_H
#define PERSIST_AOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * The form of what is kept on disk, of the append-only file and of the snapshot alike: commands in
 * RESP, in batches, before each batch a header:
 *
 *   #FANFARE1 LLLLLLLLLLLLLLLL BBBBBBBBBBBBBBBB HHHHHHHHHHHHHHHH CR LF
 *
 * L: length of the batch that follows, B: its checksum, H: checksum of the header up to there, in
 * lower case hex. Both are XXH3 (64 bits) seeded with the header's offset in the file, so that a
 * batch that was lost, moved or doubled is found as well as a changed bit. To Redis 7 a header is
 * an annotation, which its loader skips.
 *
 * The header says how long the batch is before it is there: so a file that ends early can be told
 * from one that was changed. A file may begin with commands without headers, as Redis writes it;
 * batches may follow.
 *
 * Bytes in, verdicts out: nothing here knows a file or what a command means.
 */
#define AOF_HEADER_LEN 62

/* The header of a batch, which is to stand at this offset in the file. */
void aof_header_write(char out[AOF_HEADER_LEN], uint64_t offset, struct slice batch);

/* True for a header that is whole and good at this offset; *batch_len is what it announces. */
bool aof_header_read(const char header[AOF_HEADER_LEN], uint64_t offset, uint64_t *batch_len,
    uint64_t *checksum) __attribute__((warn_unused_result));
uint64_t aof_checksum(struct slice batch, uint64_t offset);

enum aof_verdict {
	AOF_COMMANDS, /* more commands */
	AOF_END,      /* the file ends where a batch ends */
	AOF_CUT,      /* the file ends early; *commands are those that are whole, and what
			 transactions they open they close */
	AOF_DAMAGED,  /* something else was written here: see offset and reason */
};

/* Zero but for `file`: at the beginning. */
struct aof_scan {
	struct slice file; /* borrowed: all of it */
	size_t at;         /* what is before this has been passed */
	size_t batch_at; /* the header of the batch passed last, or the beginning of its commands */
	bool has_header; /* ... there is one */
	uint64_t batches;   /* with a header */
	size_t keep;        /* AOF_CUT: as much of the file is to be kept; AOF_DAMAGED: is good */
	size_t damaged_at;  /* AOF_DAMAGED */
	const char *reason; /* ...; a literal */
};

/* The next run of commands, their checksum looked at. */
enum aof_verdict aof_scan_next(struct aof_scan *scan, struct slice *commands)
    __attribute__((warn_unused_result));

enum aof_command_result {
	AOF_COMMAND,
	AOF_COMMAND_NONE,    /* nothing is left */
	AOF_COMMAND_PARTIAL, /* what is left is the beginning of one */
	AOF_COMMAND_BAD,     /* it is none: reason */
};

/* Takes commands apart; zeroed at first. */
struct aof_commands {
	struct slice *args; /* owned, aof_commands_release; the arguments borrow */
	size_t count;
	size_t room;
	const char *reason;
};

/* Takes the first command off *rest, and annotations of Redis (#TS:) before it. */
enum aof_command_result aof_command_next(struct aof_commands *commands, struct slice *rest)
    __attribute__((warn_unused_result));
void aof_commands_release(struct aof_commands *commands);

#endif
