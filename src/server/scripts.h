#ifndef SERVER_SCRIPTS_H
#define SERVER_SCRIPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "server/command.h"
#include "server/request.h"

/*
 * Scripts: what commands, INFO and the loop need of the script engine. The engine is in the layer
 * above (script/engine.h); app joins them. Without one, `server->scripts` is NULL and scripts are
 * refused.
 */
struct buffer;
struct server;

/* The command that runs a script. */
enum script_command {
	SCRIPT_EVAL = 0,
	SCRIPT_BY_DIGEST = 1 << 0, /* argv[1] is the SHA-1 of a loaded script */
	SCRIPT_READ_ONLY = 1 << 1, /* EVAL_RO, EVALSHA_RO */
};

#define SCRIPT_DIGEST_LEN 40 /* hexadecimal digits of SHA-1 */

/* What is shown of the engine. */
struct script_figures {
	size_t count;     /* scripts that are cached */
	size_t vm_bytes;  /* memory of the Lua state */
	size_t all_bytes; /* ... and of the cache */
};

/*
 * The states of the script in execution. A script is suspended when it has run for some time: the
 * daemon goes on, but no command that could see or change keys is executed.
 */
enum script_state {
	SCRIPT_IDLE,   /* none runs */
	SCRIPT_RUNS,   /* its command is being executed */
	SCRIPT_WAITED, /* suspended: commands of others wait */
	SCRIPT_BUSY,   /* suspended for longer than busy-reply-threshold: they are refused */
};
#define SCRIPT_STATES (SCRIPT_BUSY + 1)

struct scripts {
	const struct scripts_ops *ops;
	enum script_state state;
};

struct scripts_ops {
	/* Runs the script of an EVAL or of one of its kin. */
	enum command_result (*run)(struct request *rq, enum script_command how);
	/* True if this is the text, or the digest, of a script that says that it does not write. */
	bool (*is_read_only)(const struct scripts *scripts, struct slice script);
	/* Compiles and keeps it. False after replying with an error. */
	bool (*load)(struct request *rq, struct slice body, char digest[SCRIPT_DIGEST_LEN]);
	bool (*exists)(struct scripts *scripts, struct slice digest);
	void (*flush)(struct scripts *scripts);
	/* The running script is to end. NULL, or why it cannot: an error. */
	const char *(*kill)(struct scripts *scripts);
	/* Lets a suspended script go on until its end, or ends it: one that has not written at
	 * once, another one after a second. */
	void (*settle)(struct scripts *scripts);
	void (*figures)(const struct scripts *scripts, struct script_figures *out);
	void (*free)(struct scripts *scripts);
};

#define SCRIPTS_BUSY_ERROR                                                                         \
	"BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE."

/* True while a script is suspended: see enum script_state. */
static inline bool
scripts_are_suspended(const struct server *server)
{
	return server->scripts != NULL && server->scripts->state >= SCRIPT_WAITED;
}

/*
 * Called before the keyspace is copied, or handed over, or the daemon ends: no script is suspended
 * afterwards, and what it has changed is in the journal.
 */
static inline void
scripts_settle(struct server *server)
{
	if (scripts_are_suspended(server))
		server->scripts->ops->settle(server->scripts);
}

#endif
