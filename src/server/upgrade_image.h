#ifndef SERVER_UPGRADE_IMAGE_H
#define SERVER_UPGRADE_IMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "base/bytes.h"
#include "server/image_commands.h"

/*
 * Upgrade image: what passes to the successor in an upgrade besides keys and kept messages, as
 * commands in RESP: the keys of messages that were published lately (PUBLISHX) and the members of
 * channels (pubsub/presence_image.h). They are no commands for clients:
 *
 *     FANFARED.UPGRADE 1
 *     FANFARED.IDKEY CHANNEL KEY END RECEIVERS QUEUED CATCHING-UP EPOCH SEQ
 *     FANFARED.PRESENCE CHANNEL ANNOUNCED VACANT-AT
 *     FANFARED.MEMBER NAME INFO CONNECTED ANNOUNCED LEASE-UNTIL LEAVE-AT
 *     FANFARED.END
 *
 * A member is one of the channel before it. Times are of the monotonic clock, in us. What changes
 * afterwards is in parted_members.h.
 */
struct server;

/* Passes the commands to sink, in pieces that it borrows. False: sink returned false. */
bool server_upgrade_write(const struct server *server,
    bool (*sink)(void *arg, struct slice commands), void *arg) __attribute__((warn_unused_result));

/* The reader, into a server without clients whose channel options are set. */
struct upgrade_image_reader {
	struct server *server;
	enum image_state state;
	struct buffer channel; /* of the members that follow */
	bool has_channel;
};

void upgrade_image_begin(struct upgrade_image_reader *r, struct server *server);

/* The next command. False: error says what is wrong; the server must not serve. */
bool upgrade_image_read(struct upgrade_image_reader *r, const struct slice *argv, size_t argc,
    char *error, size_t error_len) __attribute__((warn_unused_result));

/* True if the image is complete. */
bool upgrade_image_end(struct upgrade_image_reader *r) __attribute__((warn_unused_result));

#endif
