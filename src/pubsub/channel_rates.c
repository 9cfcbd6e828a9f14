#include "config.h"

#include "pubsub/channel_rates.h"

#include <assert.h>

#include "base/alloc.h"
#include "base/buckets.h"
#include "base/pace.h"
#include "base/siphash.h"
#include "base/time_queue.h"

struct record {
	struct bucket_node node; /* first */
	uint64_t hash;
	uint64_t messages_until_us, bytes_until_us;
	uint32_t place; /* in the queue */
};

/* The queue has the time at which each record is looked at next: its use when it was looked at
 * last. So a publish does not move anything in it. */
struct channel_rates {
	struct buckets records;
	struct time_queue queue;
	const uint64_t *key;
};

static uint64_t
hash_of(const struct bucket_node *node)
{
	return ((const struct record *)node)->hash;
}

static const struct buckets_ops record_ops = {.hash = hash_of, .calloc = xcalloc, .free = xfree};

static void
set_place(void *thing, uint32_t place)
{
	((struct record *)thing)->place = place;
}

static const struct time_queue_ops queue_ops = {
    .moved = set_place, .realloc = xrealloc, .free = xfree};

struct channel_rates *
channel_rates_new(void)
{
	struct channel_rates *rates = xcalloc(1, sizeof(*rates));

	time_queue_init(&rates->queue, &queue_ops);
	rates->key = siphash_process_key();
	return rates;
}

static size_t
free_record(struct bucket_node *node, void *arg)
{
	(void)arg;
	xfree((struct record *)node);
	return 1;
}

void
channel_rates_free(struct channel_rates *rates)
{
	size_t budget = SIZE_MAX;

	if (!buckets_drain(&rates->records, &record_ops, free_record, NULL, &budget))
		buckets_release(&rates->records, &record_ops);
	time_queue_release(&rates->queue);
	xfree(rates);
}

/* The link that points at the record of this hash, or NULL. */
static struct bucket_node **
find(const struct channel_rates *rates, uint64_t hash)
{
	struct bucket_node **link =
	    rates->records.count > 0 ? buckets_chain(&rates->records, hash) : NULL;

	while (link != NULL && *link != NULL && hash_of(*link) != hash)
		link = &(*link)->next;
	return link != NULL && *link != NULL ? link : NULL;
}

enum channel_rate_verdict
channel_rates_check(const struct channel_rates *rates, struct slice name,
    const struct channel_rate *limit, size_t max, uint64_t now_us)
{
	struct bucket_node **link = find(rates, siphash(rates->key, name.ptr, name.len));
	const struct record *record;

	if (link == NULL)
		return rates->records.count < max ? CHANNEL_RATE_OPEN : CHANNEL_RATE_NO_ROOM;
	record = (const struct record *)*link;
	return pace_is_open(record->messages_until_us, limit->messages, now_us) &&
		       pace_is_open(record->bytes_until_us, limit->bytes, now_us)
		   ? CHANNEL_RATE_OPEN
		   : CHANNEL_RATE_REACHED;
}

static uint64_t
matters_until_us(const struct record *record)
{
	return record->messages_until_us > record->bytes_until_us ? record->messages_until_us
								  : record->bytes_until_us;
}

static void
count(struct record *record, const struct channel_rate *limit, size_t len, uint64_t now_us)
{
	pace_count(&record->messages_until_us, limit->messages, 1, now_us);
	pace_count(&record->bytes_until_us, limit->bytes, len, now_us);
}

void
channel_rates_count(struct channel_rates *rates, struct slice name,
    const struct channel_rate *limit, size_t max, size_t len, uint64_t now_us)
{
	uint64_t hash = siphash(rates->key, name.ptr, name.len);
	struct bucket_node **link = find(rates, hash);
	struct record *record;

	if (link != NULL) {
		count((struct record *)*link, limit, len, now_us);
		return;
	}
	if (rates->records.count >= max)
		return;
	record = xcalloc(1, sizeof(*record));
	record->hash = hash;
	count(record, limit, len, now_us);
	buckets_add(&rates->records, &record->node, hash, &record_ops);
	time_queue_add(&rates->queue, record, (int64_t)matters_until_us(record));
}

static void
forget(struct channel_rates *rates, struct record *record)
{
	struct bucket_node **link = find(rates, record->hash);

	assert(link != NULL);
	time_queue_remove(&rates->queue, record->place);
	(void)buckets_unlink(&rates->records, link);
	xfree(record);
	if (rates->records.count > 0)
		buckets_keep_size(&rates->records, &record_ops);
	else
		buckets_release(&rates->records, &record_ops);
}

bool
channel_rates_expire(struct channel_rates *rates, uint64_t now_us, size_t budget)
{
	const struct time_queue_entry *first;

	while ((first = time_queue_first(&rates->queue)) != NULL && (uint64_t)first->at <= now_us) {
		struct record *record = first->thing;

		if (budget-- == 0)
			return true;
		if (matters_until_us(record) > now_us)
			time_queue_change(
			    &rates->queue, record->place, (int64_t)matters_until_us(record));
		else
			forget(rates, record);
	}
	return false;
}

size_t
channel_rates_records(const struct channel_rates *rates)
{
	return rates->records.count;
}
