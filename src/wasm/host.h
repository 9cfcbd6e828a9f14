#ifndef WASM_HOST_H
#define WASM_HOST_H

#include <stddef.h>
#include <stdint.h>

#include "wasm/host_view.h"

/*
 * Host: the exports of fanfare_core.wasm for hosts that call it across a costly border, as
 * bindings/node does. The functions of <fanfare/core.h> are exported, too.
 *
 * Arguments and results are numbers. Bytes go in through the input buffer: the host writes names
 * and payloads there, one behind the other, and passes their lengths. There are no callbacks: what
 * happened is in records, of which one call fills many, and the bytes of a message are in the arena
 * once for all records that name it. Records and arena are valid until the next call that fills
 * them. Times are monotonic microseconds. A result is an enum fanfare_result unless said otherwise.
 * Lengths are trusted as far as they are within the input buffer, pointers altogether.
 */
struct fanfare_hub;
struct fanfare_publisher;
struct host;
struct host_subscriber;

/* ---- The hub ------------------------------------------------------------------------------ */

struct host *host_new(void); /* returns owned (host_free) */
void host_free(struct host *host);
struct host_view *host_view(struct host *host);  /* its address never changes */
struct fanfare_hub *host_hub(struct host *host); /* NULL before host_open() */

/* Makes the input buffer at least this long; its bytes are lost. */
void host_input(struct host *host, size_t len);

/* Makes the hub, once. 0 stands for the default of struct fanfare_hub_options. */
int host_open(struct host *host, double epoch, uint32_t subscriptions_max, uint32_t subscribers_max,
    uint32_t name_max, uint32_t message_max, uint32_t memory_max, uint32_t history_max,
    double block_us);

/* fanfare_hub_work(): the microseconds after which to call it again, or -1: not before something
 * changes. */
double host_work(struct host *host, double now_us);

/* 1 if a round is due (fanfare_hub_options.room) since the last call, 0 if not. */
int host_take_room(struct host *host);

/* Input: glob, words. host_view.text says why it is FANFARE_INVALID. */
int host_channel_set(struct host *host, size_t glob_len, size_t words_len);
int host_channel_unset(struct host *host, size_t glob_len, size_t names_len);

/* Sets host_view.numbers: the members of struct fanfare_figures behind size, in their order. */
void host_figures(struct host *host);
double host_numsub(struct host *host, size_t channel_len); /* input: channel */

/* Input: after. One record with the name as the channel of a message; first: 1, `after` is not
 * read. */
int host_next_channel(struct host *host, int first, size_t after_len);

/* ---- Publishing --------------------------------------------------------------------------- */

/*
 * Input: channel, payload. Returns the number of receivers, or minus the result. Without a
 * publisher the message cannot wait: FANFARE_BLOCKED and FANFARE_FULL then mean that nothing was
 * done, for ever. host_view.numbers: receivers, queued, catching up; text: the position, or
 * nothing.
 */
int host_post(struct host *host, size_t channel_len, size_t payload_len,
    const struct host_subscriber *except, struct fanfare_publisher *publisher, double now_us);
struct fanfare_publisher *host_publisher_new(struct host *host); /* NULL: there is no hub */

/* ---- Subscribers -------------------------------------------------------------------------- */

enum { HOST_NOTIFY = 1, HOST_BY_CHANNELS = 2, HOST_DEDUP = 4 };

/* slot is in its records. NULL: an argument is not allowed. It does not flow. */
struct host_subscriber *host_subscriber_new(struct host *host, uint32_t slot, uint32_t bytes,
    uint32_t messages, uint32_t policy, uint32_t flags);
/* FANFARE_MORE: call it again. */
int host_subscriber_close(struct host_subscriber *hs, uint32_t budget);
int host_subscriber_set_limits(
    struct host_subscriber *hs, uint32_t bytes, uint32_t messages, uint32_t policy, uint32_t flags);

/* host_drain() reads the messages of a subscriber only while it flows. */
void host_subscriber_flow(struct host_subscriber *hs, int flowing);

/* Input: name. */
int host_subscribe(struct host_subscriber *hs, int is_pattern, size_t name_len, double now_us);
int host_unsubscribe(struct host_subscriber *hs, int is_pattern, size_t name_len);

/* Input: name, since. host_view.numbers: verdict, count; text: the position, or nothing. */
int host_resume(
    struct host_subscriber *hs, int is_pattern, size_t name_len, size_t since_len, double now_us);

/* Removes the oldest subscription and gives its name as host_next_channel() does. */
int host_unsubscribe_first(struct host_subscriber *hs, int is_pattern);

/* host_view.numbers: bytes, messages, dropped, behind, subscriptions; text: the position up to
 * which everything that is kept was queued, or nothing. */
void host_subscriber_state(struct host_subscriber *hs);

/* ---- Reading ------------------------------------------------------------------------------ */

/* Fills records with what happened, about `most` of them; returns their number. 0: nothing. */
size_t host_drain(struct host *host, size_t most);

/* The next message of one subscriber: 1 record, or 0. */
size_t host_next(struct host_subscriber *hs);

/* Kept messages as records with slot 0: the last n; or those from one position to another, both
 * included, at most n (0: all). Input: channel; channel, from, to. */
int host_history_last(struct host *host, size_t channel_len, double n, double now_us);
int host_history_range(
    struct host *host, size_t channel_len, size_t from_len, size_t to_len, double n, double now_us);
int host_history_delete(struct host *host, size_t channel_len, double now_us); /* numbers: count */

#endif
