#ifndef IMPORT_SOURCE_H
#define IMPORT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "rdb/commands.h"

/*
 * The files of Redis at a path as one sequence of commands: a snapshot, or append-only files, which
 * may begin with a snapshot.
 *
 * They are read twice: first to check them as a whole, then to carry out their commands. So nothing
 * is carried out if they are damaged, and a transaction at an incomplete end of the last file is
 * left out as a whole. A file that changes meanwhile is noticed like damage.
 */
struct import_source;

enum import_part {
	IMPORT_DATABASE,   /* SELECT */
	IMPORT_KEY,        /* of a snapshot */
	IMPORT_FIELD_TIME, /* of a snapshot */
	IMPORT_FUNCTIONS,  /* of a snapshot */
	IMPORT_COMMAND,    /* of an append-only file */
};

struct import_command {
	const struct slice *argv; /* borrowed until the next call; at least one */
	size_t argc;
	enum import_part part;
	enum rdb_type type;
	bool begins_key;
};

struct import_config {
	int64_t now_ms;    /* as in rdb/commands.h */
	bool replaces;     /* as in rdb/commands.h */
	bool may_truncate; /* an incomplete command at the end of the last file is left out */
	/* What a module wrote, when the commands are carried out: see rdb/commands.h. */
	void (*module)(void *arg, struct slice name, bool is_key);
	void *arg;
};

/* Opens the files. Copies config. NULL: error says why. Returns owned (import_close). */
struct import_source *import_open(
    const char *path, const struct import_config *config, struct buffer *error);
void import_close(struct import_source *source);

enum import_result { IMPORT_MORE, IMPORT_END, IMPORT_BAD };

/*
 * Checks a part of the files; IMPORT_MORE: call it again. IMPORT_END: all are right, and
 * import_next() begins at their beginning. IMPORT_BAD: import_error() says what is wrong.
 */
enum import_result import_check(struct import_source *source) __attribute__((warn_unused_result));

/* The next command (IMPORT_MORE). */
enum import_result import_next(struct import_source *source, struct import_command *command)
    __attribute__((warn_unused_result));

struct slice import_error(const struct import_source *source);

/* What the user should know: an incomplete end that is left out, a file that is not read. Empty:
 * nothing. Complete after the check. */
struct slice import_warning(const struct import_source *source);

/* True if there are commands of an append-only file. Known after the check. */
bool import_has_commands(const struct import_source *source);

const struct rdb_left_out *import_left_out(const struct import_source *source);

/* Bytes read in this pass, and bytes of all files. */
uint64_t import_bytes_done(const struct import_source *source);
uint64_t import_bytes(const struct import_source *source);

#endif
