#ifndef FANFARE_HISTORY_H
#define FANFARE_HISTORY_H

#include <fanfare/hub.h>

/* History: the kept messages of a channel, for reading without a subscription. See
 * fanfare_channel_set() for history-size and history-ttl. */
#ifdef __cplusplus
extern "C" {
#endif

/* One kept message, valid until it returns. False ends the reading. */
typedef bool fanfare_history_reader(void *arg, const struct fanfare_message *message);

/*
 * Reads the kept messages of a channel between two positions, both included, oldest first, at most
 * `most` (0: all). *count, which may be NULL, is the number of messages that were given to read().
 */
FANFARE_CHECKED enum fanfare_result fanfare_history_range(struct fanfare_hub *hub,
    struct fanfare_bytes channel, struct fanfare_position from, struct fanfare_position to,
    uint64_t most, uint64_t now_us, fanfare_history_reader *read, void *arg, uint64_t *count);

/* The last n kept messages, oldest first. */
FANFARE_CHECKED enum fanfare_result fanfare_history_last(struct fanfare_hub *hub,
    struct fanfare_bytes channel, uint64_t n, uint64_t now_us, fanfare_history_reader *read,
    void *arg, uint64_t *count);

/* Removes the kept messages of a channel; *count, which may be NULL, is their number. */
FANFARE_CHECKED enum fanfare_result fanfare_history_delete(
    struct fanfare_hub *hub, struct fanfare_bytes channel, uint64_t now_us, uint64_t *count);

/* The newest position of the hub: of the newest kept message, or taken by a channel that has begun
 * to keep messages since, or by a message that the options keep out of the history. */
FANFARE_API struct fanfare_position fanfare_newest_position(const struct fanfare_hub *hub);

#ifdef __cplusplus
}
#endif

#endif
