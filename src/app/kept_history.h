#ifndef APP_KEPT_HISTORY_H
#define APP_KEPT_HISTORY_H

#include <stdbool.h>

/*
 * Kept history: the kept messages of channels pass to a successor and, by the directive
 * history-save, to the next start: they are written to a file at a graceful end and read at the
 * next start (persist/history_file.h, server/history_image.h).
 */
struct persist_keyspace;
struct server;

/* The history in the place of a keyspace (persist/keyspace.h), for a file or a stream. */
struct kept_history {
	struct server *server;
	struct history_image_reader *reader; /* between replay_begin() and kept_history_end() */
	bool has_other_lines; /* after kept_history_end(): the options of channels were others */
};

struct persist_keyspace kept_history_keyspace(struct kept_history *kept);

/* Ends the reading. True: the server continues the positions. False: there was nothing, or it was
 * not whole: the server has no kept messages, and a new epoch. */
bool kept_history_end(struct kept_history *kept) __attribute__((warn_unused_result));

/* Call it before the first client, when the folder is locked and the channels have their options.
 * Whatever is wrong with the file is logged; then positions have a new epoch. */
void kept_history_load(struct server *server);

/* Call it when no message can be published any more, and the folder is still locked. False: it
 * failed, which is logged. Positions that would be given after that have another epoch. */
bool kept_history_save(struct server *server) __attribute__((warn_unused_result));

#endif
