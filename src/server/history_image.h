#ifndef SERVER_HISTORY_IMAGE_H
#define SERVER_HISTORY_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"

/*
 * History image: the kept messages of all channels as commands in RESP, for a file or another
 * process, and back (pubsub/hub_image.h). They are no commands for clients:
 *
 *     FANFARED.HISTORY 1 EPOCH SEQ FORGOTTEN-SEQ TIME
 *     FANFARED.LINE GLOB OPTION VALUE ...             the options of channels then
 *     FANFARED.RING CHANNEL TTL APPENDED MESSAGES TRIMMED-SEQ NEWEST-SEQ AGE
 *     FANFARED.KEPT SEQ AGE PAYLOAD                   a message of the ring before it
 *     FANFARED.END
 *
 * TIME is Unix time and AGE the time since then, both in microseconds. The reader adds the time
 * since TIME to each age, so that messages expire when they would have expired.
 */
struct server;
struct history_image_reader;

/* Passes the commands to sink, in pieces that it borrows. False: sink returned false. */
bool server_history_write(const struct server *server,
    bool (*sink)(void *arg, struct slice commands), void *arg) __attribute__((warn_unused_result));

/*
 * Reads an image into a server without clients and without kept messages, whose channel options are
 * set. Returns owned (history_image_end). Positions that were handed out before are then unknown:
 * call it before the first client.
 */
struct history_image_reader *history_image_begin(struct server *server);

/* The next command. False: error says what is wrong; then only history_image_end() is allowed. */
bool history_image_read(struct history_image_reader *r, const struct slice *argv, size_t argc,
    char *error, size_t error_len) __attribute__((warn_unused_result));

/* True if the lines read so far are other options of channels than those of this server. */
bool history_image_has_other_lines(const struct history_image_reader *r);

/*
 * True: the image was complete, and the server continues its positions. False: it has no kept
 * messages, and a new epoch.
 */
bool history_image_end(struct history_image_reader *r) __attribute__((warn_unused_result));

/* Another process continues the positions: no message is kept any more, and clients may not publish
 * to channels that keep messages. */
void server_history_hand_over(struct server *server);

/* Gives up kept messages, and begins a new epoch: for an image that must not be used. */
void server_history_forget(struct server *server);

#endif
