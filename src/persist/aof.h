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
 * A file may begin with commands without headers, as Redis writes it; batches may follow.
 *
 * Torn tail or damage. After a loss of power anything may stand in place of bytes that were written
 * but not synced: nothing, zeros, old data, sectors of the new data in any order, even whole
 * batches behind a torn one. Synced bytes are intact, and a sync covers everything before it. So
 * each header says how far the file was synced when its batch was written:
 *
 *   #FANFARE1: up to this header.
 *   #FANFARE2: up to U * 512 bytes before this header. U is the first six digits of L, the length
 * is the other ten. ffffff: unknown.
 *
 * If a batch is not intact, and a good header behind it says that the file was synced beyond the
 * batch's beginning, the batch is *damaged*: a loss of power cannot explain it, and loading stops.
 * If no header says so, the batch is the beginning of the *torn tail*, and the file ends there.
 *
 * That leaves one case: the batches of the last sync, to which nothing was appended yet, and which
 * the disk changed later. The verdict there is still "damaged" for what a torn write does not
 * leave: a header, or a batch of up to 16 KiB, that a change of one bit makes good; batches of
 * another offset; commands without headers up to the end. Larger changes look like a torn tail.
 * Therefore the caller keeps a tail that it cuts off in another file, and logs it
 * (aof_file_truncate).
 *
 * Of a batch that is not whole no command is used: the checksum cannot say whether the commands
 * that are there are intact.
 *
 * Bytes in, verdicts out: nothing here knows a file or what a command means.
 */
#define AOF_HEADER_LEN 62

/* The header of a batch, which is to stand at this offset in the file; `synced`: the file is synced
 * up to there, or will be before it gets its name. aof_header_write: up to offset. */
void aof_header_write(char out[AOF_HEADER_LEN], uint64_t offset, struct slice batch);
void aof_header_write_unsynced(
    char out[AOF_HEADER_LEN], uint64_t offset, uint64_t synced, struct slice batch);

/* True for a header that is whole and good at this offset; *batch_len is what it announces. */
bool aof_header_read(const char header[AOF_HEADER_LEN], uint64_t offset, uint64_t *batch_len,
    uint64_t *checksum) __attribute__((warn_unused_result));
uint64_t aof_checksum(struct slice batch, uint64_t offset);

enum aof_verdict {
	AOF_COMMANDS,  /* more commands */
	AOF_END,       /* the file ends where a batch ends */
	AOF_TRUNCATED, /* the file ends early, or its tail is torn; *commands are those without a
		    header that are whole, and close what transactions they open */
	AOF_DAMAGED,   /* something else was written here: see offset and reason */
};

/* Zero but for `file`: at the beginning. */
struct aof_scan {
	struct slice file; /* borrowed: all of it */
	size_t at;         /* what is before this has been passed */
	size_t batch_at; /* the header of the batch passed last, or the beginning of its commands */
	bool has_header; /* ... there is one */
	uint64_t batches; /* with a header */
	size_t keep; /* AOF_TRUNCATED: as much of the file is to be kept; AOF_DAMAGED: is good */
	size_t damaged_at;  /* AOF_TRUNCATED, AOF_DAMAGED */
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
