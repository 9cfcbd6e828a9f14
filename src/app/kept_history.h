#ifndef APP_KEPT_HISTORY_H
#define APP_KEPT_HISTORY_H

/*
 * Kept history: the directive history-save. The kept messages of channels are written to a file at
 * a graceful end and read at the next start (persist/history_file.h, server/history_image.h).
 */
struct server;

/* Call it before the first client, when the folder is locked and the channels have their options.
 * Whatever is wrong with the file is logged; then positions have a new epoch. */
void kept_history_load(struct server *server);

/* Call it when no message can be published any more, and the folder is still locked. A failure is
 * logged. Positions that would be given after that have another epoch. */
void kept_history_save(struct server *server);

#endif
