#ifndef CMD_PUBLISH_H
#define CMD_PUBLISH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/bytes.h"
#include "pubsub/post.h"
#include "server/command.h"
#include "server/request.h"

/*
 * Publish: the messages of a publishing command, and the hand-over of one of them to the hub. What
 * may refuse a message before that is publish_check.h. A publishing command is one for which
 * command_publishes() is true; the flags for channels of its row say where its messages are:
 *
 *	CMD_CHANNEL                             channel message
 *	CMD_CHANNELS | CMD_CHANNEL_PAIRS        channel message [channel message ...]
 *	CMD_CHANNELS | CMD_CHANNELS_LATER       message channel [channel ...]
 */
size_t publish_count_messages(const struct command *command, size_t argc);

/* Message i of these arguments, which are borrowed, as rq's client publishes it: with the option
 * no-echo of the channel, or after OUTBOX SET ECHO no, the client does not get it. */
struct hub_post publish_post(
    const struct request *rq, const struct command *command, const struct slice *argv, size_t i);

enum publish_result {
	PUBLISH_DONE,    /* *out is set, and the message counts for the rates */
	PUBLISH_REFUSED, /* an error was appended to rq->reply */
	PUBLISH_WAITS,   /* rq->waits_for says for what; nothing was done */
	PUBLISH_SENT,    /* the same, and the message was sent to the upstream (publish_once.h) */
};

/* In a transaction it does not wait: EXEC has checked before whether the publisher has to. */
enum publish_result publish_message(struct request *rq, const struct hub_post *post,
    struct hub_outcome *out) __attribute__((warn_unused_result));

#endif
