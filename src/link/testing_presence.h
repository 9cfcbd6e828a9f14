#ifndef LINK_TESTING_PRESENCE_H
#define LINK_TESTING_PRESENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "link/presence_script.h"

/*
 * The members of all nodes at an engine in memory: what the scripts of presence_script.h do at a
 * server. It has no pointers but that of the operation, so a copy is a snapshot. Events whose
 * channel keeps messages are published as others.
 */
#define TESTING_PRESENCE_NODES 32
#define TESTING_PRESENCE_MEMBERS 32
#define TESTING_PRESENCE_TEXT 24 /* bytes of a name or an info, with a NUL */

struct testing_presence_node {
	char id[PRESENCE_NODE_LEN + 1]; /* "": there is none */
	uint64_t ends_ms;               /* 0: its members are being removed */
};

/* A member, or (name empty) an occupied channel. */
struct testing_presence_member {
	char channel[TESTING_PRESENCE_TEXT], name[TESTING_PRESENCE_TEXT],
	    info[TESTING_PRESENCE_TEXT];
	size_t count; /* 0: there is none */
	struct {
		char node[PRESENCE_NODE_LEN + 1];
		bool is_connected;
	} at[TESTING_PRESENCE_NODES];
};

struct testing_presence {
	bool has_scripts[PRESENCE_SCRIPTS];
	struct testing_presence_node nodes[TESTING_PRESENCE_NODES];
	struct testing_presence_member members[TESTING_PRESENCE_MEMBERS];
	uint64_t now_ms;
	size_t expired_max; /* of one lease; 0: as many as allowed */
	const char *error;  /* the reply to leases and changes; NULL: there is none */
	void (*publish)(void *arg, struct slice channel, struct slice payload);
	void *arg;
};

/* Executes SCRIPT LOAD or EVALSHA of these scripts, and appends the reply. False: it is another
 * command. */
bool testing_presence_execute(struct testing_presence *presence, const struct slice *args,
    size_t count, struct buffer *reply);

/* Of an EVALSHA: PRESENCE_SCRIPTS: it is no script of these. */
int testing_presence_script(const struct slice *args, size_t count);

void testing_presence_restart(struct testing_presence *presence); /* the scripts are gone */
void testing_presence_flush(struct testing_presence *presence);   /* all data is lost */

/* NULL: it has no such member. name empty: an occupied channel. */
struct testing_presence_member *testing_presence_find(
    struct testing_presence *presence, struct slice channel, struct slice name);
struct testing_presence_node *testing_presence_node(
    struct testing_presence *presence, struct slice id);

#endif
