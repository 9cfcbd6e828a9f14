#ifndef APP_LIVE_CONFIG_H
#define APP_LIVE_CONFIG_H

#include <stdbool.h>

#include "app/config_source.h"
#include "app/settings.h"
#include "server/server.h"

struct edge;
struct persistence;
struct tokens;

/*
 * The configuration of a running daemon: CONFIG GET, SET and REWRITE, and reading the file again.
 *
 * A change is all or nothing: a CONFIG SET or a file with one mistake changes nothing.
 */
struct live_config {
	struct settings *settings;          /* borrowed; the current ones */
	const struct config_source *source; /* borrowed */
	struct server *server;              /* borrowed; is told of changes; or NULL */
	struct net *net;                    /* the same, for TLS */
	struct persistence *persistence;    /* the same */
	struct edge *edge;                  /* the same */
	struct tokens *tokens;              /* the same, for keys */
};

/* For server_new; borrows live. */
struct server_settings live_config_interface(struct live_config *live);

/*
 * Lowers maxclients to what the limit of open files allows, and logs it. False: not even one client
 * is possible.
 */
bool live_config_fit_maxclients(struct settings *s) __attribute__((warn_unused_result));

/* Reads the file again and takes over the settings that may change at run time. Logs what changed,
 * what needs a restart and what is invalid. */
void live_config_reload(struct live_config *live);

/* The requested append-only file exists: appendonly becomes "yes". */
void live_config_log_accepted(struct live_config *live);

/* The keys for tokens, for the start. False: error says what is wrong, in one line. */
bool live_config_load_tokens(struct live_config *live, struct buffer *error)
    __attribute__((warn_unused_result));

/* The lines of channels of the configuration, for the start: moves them to the server. */
void live_config_load_channels(struct live_config *live);

/* The users of the configuration or of the aclfile, for the start. False: error says what is wrong
 * and where, and nothing is changed. */
bool live_config_load_users(struct live_config *live, struct buffer *error)
    __attribute__((warn_unused_result));

#endif
