#ifndef PERSIST_AOF_H
#define PERSIST_AOF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * The file format of the append-only file and of the snapshot: commands in RESP, in batches, with a
 * header before each batch:
 *
 *     #FANFARE1 LLLLLLLLLLLLLLLL BBBBBBBBBBBBBBBB HHHHHHHHHHHHHHHH CR LF
 *
 * L: length of the batch that follows, B: its checksum, H: checksum of the header up to there, in
 * lower case hex. Both checksums are XXH3 (64 bits) seeded with the header's offset in the file, so
 * that a lost, moved or duplicated batch is detected as well as a changed bit. Redis 7 takes a
 * header for an annotation, which its loader skips.
 *
 * A file may begin with commands without headers, as Redis writes it; batches may follow.
 *
 * Torn tail or damage. After a loss of power, bytes that were written but not synced may have any
 * content: nothing, zeros, old data, sectors of the new data in any order, even whole batches
 * behind a torn one. Synced bytes are intact, and a sync covers everything before it. So each
 * header says how far the file was synced when its batch was written:
 *
 *     #FANFARE1: up to this header.
 *     #FANFARE2: up to U * 512 bytes before this header. U is the first six digits of L, the
 *                length is the other ten. ffffff: unknown.
 *
 * If a batch is not intact, and a valid header behind it says that the file was synced beyond the
 * batch's beginning, the batch is *damaged*: a loss of power cannot explain it, and loading stops.
 * If no header says so, the batch is the beginning of the *torn tail*, and the file ends there.
 *
 * One case remains: the batches of the last sync, if nothing was appended after it and the disk
 * changed them later. The verdict is then still "damaged" for bytes that a torn write cannot leave:
 * a header, or a batch of up to 16 KiB, that becomes valid by changing one bit; batches of another
 * offset; commands without headers up to the end. Larger changes look like a torn tail. Therefore
 * the caller saves a tail that it truncates in another file, and logs it (aof_file_truncate).
 *
 * No command of an incomplete batch is used: the checksum cannot tell whether the commands that are
 * there are intact.
 *
 * It takes bytes and returns verdicts: it opens no file and does not interpret commands.
 */
#define AOF_HEADER_LEN 62

/*
 * Writes the header of a batch that will be at this offset in the file. `synced`: the file is
 * synced up to this offset, or will be before it is renamed to its final name. aof_header_write
 * sets it to offset.
 */
void aof_header_write(char out[AOF_HEADER_LEN], uint64_t offset, struct slice batch);
void aof_header_write_unsynced(
    char out[AOF_HEADER_LEN], uint64_t offset, uint64_t synced, struct slice batch);

/* True if the header is valid at this offset; *batch_len is the announced length. */
bool aof_header_read(const char header[AOF_HEADER_LEN], uint64_t offset, uint64_t *batch_len,
    uint64_t *checksum) __attribute__((warn_unused_result));
uint64_t aof_checksum(struct slice batch, uint64_t offset);

enum aof_verdict {
	AOF_COMMANDS,  /* more commands */
	AOF_END,       /* the file ends at the end of a batch */
	AOF_TRUNCATED, /* the file ends early, or its tail is torn; *commands are the complete
			  commands without a header, up to the last one outside a transaction */
	AOF_DAMAGED,   /* the bytes here were changed; see offset and reason */
};

/* Initially zero except for `file`. */
struct aof_scan {
	struct slice file;  /* borrowed: the whole file */
	size_t at;          /* bytes before this have been scanned */
	size_t batch_at;    /* the header of the last batch, or the beginning of its commands */
	bool has_header;    /* whether that batch has a header */
	uint64_t batches;   /* number of batches with a header */
	size_t keep;        /* AOF_TRUNCATED: bytes to keep; AOF_DAMAGED: valid bytes */
	size_t damaged_at;  /* AOF_TRUNCATED, AOF_DAMAGED */
	const char *reason; /* AOF_TRUNCATED, AOF_DAMAGED: a string literal */
};

/* The next run of commands, with their checksum verified. */
enum aof_verdict aof_scan_next(struct aof_scan *scan, struct slice *commands)
    __attribute__((warn_unused_result));

enum aof_command_result {
	AOF_COMMAND,
	AOF_COMMAND_NONE,    /* nothing is left */
	AOF_COMMAND_PARTIAL, /* the rest is the beginning of a command */
	AOF_COMMAND_BAD,     /* invalid, see reason */
};

/* Splits commands into arguments. Initially zero. */
struct aof_commands {
	struct slice *args; /* owned (aof_commands_release); the arguments borrow from the file */
	size_t count;
	size_t room;
	const char *reason;
};

/* Takes the first command off the front of *rest, and Redis's annotations (#TS:) before it. */
enum aof_command_result aof_command_next(struct aof_commands *commands, struct slice *rest)
    __attribute__((warn_unused_result));
void aof_commands_release(struct aof_commands *commands);

#endif
