#include "config.h"

#include "server/history_wait.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash_map.h"
#include "pubsub/channel_tree.h"
#include "pubsub/hub.h"
#include "pubsub/hub_history.h"
#include "server/client.h"
#include "server/wait.h"

/* The most readers resumed in a turn. */
#define RESUMED_A_TURN 256

TAILQ_HEAD(readers, reader);

/* One request that waits for one channel. */
struct reader {
	TAILQ_ENTRY(reader) all;        /* of the channel */
	struct waited_channel *channel; /* NULL: it does not wait now */
	struct history_read *read;
};

struct waited_channel {
	TAILQ_ENTRY(waited_channel) ready;
	struct readers readers;
	bool is_ready;
	size_t name_len;
	char name[];
};

/* A request that waits, or has waited and is being executed again. It is one block of memory,
 * which client_request_over() frees. */
struct history_read {
	struct client *client;
	enum history_woken woken;
	bool has_deadline; /* and waits: it is in the queue */
	uint32_t deadline_place;
	uint64_t until_us;
	uint64_t epoch; /* of the seqs */
	struct reader *readers;
	uint64_t *seqs;
	size_t count;
	struct slice names[]; /* readers, seqs and the bytes of the names follow it */
};

static void
note_deadline_place(void *read, uint32_t place)
{
	((struct history_read *)read)->deadline_place = place;
}

static const struct time_queue_ops deadline_ops = {
    .moved = note_deadline_place, .realloc = xrealloc, .free = xfree};

static struct history_waits *
waits_of(const struct client *c)
{
	return c->server->history_waits;
}

static struct waited_channel *
get_or_add(struct history_waits *waits, struct slice name)
{
	struct waited_channel *channel = hash_map_get(waits->channels, name);

	if (channel != NULL)
		return channel;
	channel = xcalloc(1, sizeof(*channel) + name.len);
	TAILQ_INIT(&channel->readers);
	channel->name_len = name.len;
	if (name.len > 0)
		memcpy(channel->name, name.ptr, name.len);
	hash_map_set(waits->channels, name, channel);
	return channel;
}

static void
leave_channel(struct history_waits *waits, struct reader *reader)
{
	struct waited_channel *channel = reader->channel;

	reader->channel = NULL;
	TAILQ_REMOVE(&channel->readers, reader, all);
	if (!TAILQ_EMPTY(&channel->readers))
		return;
	if (channel->is_ready)
		TAILQ_REMOVE(&waits->ready, channel, ready);
	hash_map_remove(waits->channels, (struct slice){channel->name, channel->name_len});
	xfree(channel);
}

/* A client begins to wait: see struct wait_hooks. */
static void
join(struct client *c)
{
	struct history_waits *waits = waits_of(c);
	struct history_read *read = c->pending->read;

	if (read == NULL) /* a test of the table of waits */
		return;
	if (waits->count++ == 0)
		hub_add_append_hook(c->server->hub, &waits->hook);
	for (size_t i = 0; i < read->count; i++) {
		struct reader *reader = &read->readers[i];

		reader->read = read;
		reader->channel = get_or_add(waits, read->names[i]);
		TAILQ_INSERT_TAIL(&reader->channel->readers, reader, all);
	}
	read->has_deadline = read->until_us != UINT64_MAX;
	if (read->has_deadline)
		time_queue_add(&waits->deadlines, read, (int64_t)read->until_us);
}

static void
leave(struct client *c)
{
	struct history_waits *waits = waits_of(c);
	struct history_read *read = c->pending->read;

	if (read == NULL)
		return;
	for (size_t i = 0; i < read->count; i++)
		leave_channel(waits, &read->readers[i]);
	if (read->has_deadline)
		time_queue_remove(&waits->deadlines, read->deadline_place);
	read->has_deadline = false;
	if (--waits->count == 0)
		hub_remove_append_hook(&waits->hook);
}

static void
make_ready(struct history_waits *waits, struct slice name)
{
	struct waited_channel *channel = hash_map_get(waits->channels, name);

	if (channel == NULL || channel->is_ready)
		return;
	channel->is_ready = true;
	TAILQ_INSERT_TAIL(&waits->ready, channel, ready);
}

static void
on_append(struct hub_append_hook *hook, const struct topic *topic, struct hub_position position)
{
	struct history_waits *waits =
	    (struct history_waits *)(void *)((char *)hook - offsetof(struct history_waits, hook));

	(void)position;
	make_ready(waits, topic_name(topic));
}

void
history_waits_init(struct server *server)
{
	struct history_waits *waits = server->history_waits;

	*waits = (struct history_waits){.channels = hash_map_new(), .server = server};
	TAILQ_INIT(&waits->ready);
	time_queue_init(&waits->deadlines, &deadline_ops);
	waits->hook.appended = on_append;
	waits_set_hooks(
	    server->waits, WAIT_HISTORY, (struct wait_hooks){.joined = join, .left = leave});
}

void
history_waits_release(struct history_waits *waits)
{
	assert(waits->count == 0 && hash_map_count(waits->channels) == 0);
	hash_map_free(waits->channels);
	time_queue_release(&waits->deadlines);
}

enum history_woken
history_wait_result(const struct request *rq)
{
	const struct history_read *read = rq->client->pending->read;

	return read != NULL ? read->woken : HISTORY_NOT_WAITED;
}

const uint64_t *
history_wait_seqs(const struct request *rq, uint64_t *epoch)
{
	const struct history_read *read = rq->client->pending->read;

	if (read == NULL)
		return NULL;
	*epoch = read->epoch;
	return read->seqs;
}

void
history_wait_again(struct server *server, struct slice channel)
{
	make_ready(server->history_waits, channel);
}

static void
make_one_ready(struct slice name, void *channel, void *waits)
{
	(void)channel;
	make_ready(waits, name);
}

void
history_wait_all_again(struct server *server)
{
	hash_map_each(server->history_waits->channels, make_one_ready, server->history_waits);
}

static struct history_read *
read_new(const struct slice *channels, const uint64_t *seqs, size_t count)
{
	size_t len = sizeof(struct history_read) +
		     count * (sizeof(struct slice) + sizeof(struct reader) + sizeof(*seqs));
	struct history_read *read;
	char *at;

	for (size_t i = 0; i < count; i++)
		len += channels[i].len;
	read = xcalloc(1, len);
	read->count = count;
	read->readers = (struct reader *)(void *)&read->names[count];
	read->seqs = (uint64_t *)(void *)&read->readers[count];
	memcpy(read->seqs, seqs, count * sizeof(*seqs));
	at = (char *)&read->seqs[count];
	for (size_t i = 0; i < count; i++) {
		read->names[i] = (struct slice){at, channels[i].len};
		if (channels[i].len > 0)
			memcpy(at, channels[i].ptr, channels[i].len);
		at += channels[i].len;
	}
	return read;
}

enum command_result
history_wait(struct request *rq, const struct slice *channels, const uint64_t *seqs, size_t count,
    uint64_t until_us)
{
	struct pending *pending = rq->client->pending;

	if (pending->read == NULL) {
		pending->read = read_new(channels, seqs, count);
		pending->read->client = rq->client;
		pending->read->until_us = until_us;
		pending->read->epoch = history_position(hub_history(rq->server->hub)).epoch;
	}
	pending->asking = UPSTREAM_NOT_ASKED; /* it is asked again when the reader is woken */
	pending->asked = 0;
	pending->read->woken = HISTORY_WOKEN;
	rq->waits_for = WAIT_HISTORY;
	return COMMAND_LATER;
}

static void
end(struct history_read *read, enum history_woken woken)
{
	read->woken = woken;
	wait_event_of(read->client, WAIT_EVENT_KEPT);
}

bool
history_wait_end(struct client *c, bool with_error)
{
	if (client_waits_for(c) != WAIT_HISTORY)
		return false;
	end(c->pending->read, with_error ? HISTORY_UNBLOCKED : HISTORY_TIMED_OUT);
	return true;
}

/* Ending a wait takes the read out of the queues. */
uint64_t
history_wait_turn(struct server *server, uint64_t now_us)
{
	struct history_waits *waits = server->history_waits;
	const struct time_queue_entry *first;
	struct waited_channel *channel;
	size_t n;

	for (n = 0; (channel = TAILQ_FIRST(&waits->ready)) != NULL; n++) {
		if (n == RESUMED_A_TURN)
			return 0;
		end(TAILQ_FIRST(&channel->readers)->read, HISTORY_WOKEN);
	}
	for (; (first = time_queue_first(&waits->deadlines)) != NULL; n++) {
		if ((uint64_t)first->at > now_us)
			return (uint64_t)first->at - now_us;
		if (n >= RESUMED_A_TURN)
			return 0;
		end(first->thing, HISTORY_TIMED_OUT);
	}
	return UINT64_MAX;
}
