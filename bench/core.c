#include "config.h"

/*
 * The cost of libfanfare-core beside what a program would write otherwise: a hash map from the
 * channel to a vector of subscribers, in which each subscriber has a queue of its own copies. Both
 * deliver the same messages, and their subscribers read them.
 *
 *	core WHAT SUBSCRIBERS PATTERNS PAYLOAD MESSAGES
 *
 * WHAT is hub or map. Prints ns per message for publishing and for reading, of the fastest of
 * several turns. Patterns are those of another subscriber and match nothing; the map has to try
 * each of them.
 */
#include <fanfare/core.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define CHANNEL "news.weather.berlin"
#define TURNS 7
#define QUEUED_MAX 100 /* messages published before they are read */

struct run {
	size_t subscribers, patterns, payload_len, messages;
	char *payload;
	uint64_t publish_ns, read_ns;
	uint64_t read; /* bytes, so that reading cannot be left out */
};

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void
must(bool ok)
{
	if (!ok)
		abort();
}

/* ptr is not NULL. */
static void *
some(void *ptr)
{
	if (ptr == NULL)
		abort();
	return ptr;
}

static void
name_pattern(char *out, size_t room, size_t i)
{
	snprintf(out, room, "user.%zu.*", i);
}

/* ---- The library ---- */

static struct fanfare_hub *hub;
static struct fanfare_subscriber **subscribers;

static void
hub_begin(const struct run *run)
{
	struct fanfare_subscriber *idle;
	char pattern[40];

	must(fanfare_hub_new(NULL, &hub) == FANFARE_OK);
	must(fanfare_subscriber_new(hub, NULL, &idle) == FANFARE_OK);
	for (size_t i = 0; i < run->patterns; i++) {
		name_pattern(pattern, sizeof(pattern), i);
		must(fanfare_psubscribe(idle, fanfare_bytes_of(pattern)) == FANFARE_OK);
	}
	subscribers = some(calloc(run->subscribers, sizeof(struct fanfare_subscriber *)));
	for (size_t i = 0; i < run->subscribers; i++) {
		must(fanfare_subscriber_new(hub, NULL, &subscribers[i]) == FANFARE_OK);
		must(fanfare_subscribe(subscribers[i], fanfare_bytes_of(CHANNEL), 1) == FANFARE_OK);
	}
}

static void
hub_publish(const struct run *run)
{
	must(fanfare_publish(hub, fanfare_bytes_of(CHANNEL),
		 (struct fanfare_bytes){run->payload, run->payload_len}, 1, NULL) == FANFARE_OK);
}

static void
hub_read(struct run *run)
{
	struct fanfare_message m;

	for (size_t i = 0; i < run->subscribers; i++)
		while (fanfare_subscriber_next(subscribers[i], &m) == FANFARE_OK)
			run->read += m.payload.len + (unsigned char)m.payload.data[0];
	must(fanfare_hub_work(hub, 1, NULL) != FANFARE_INVALID);
}

static void
hub_end(const struct run *run)
{
	(void)run;
	free(subscribers);
	must(fanfare_hub_free(hub) == FANFARE_OK);
}

/* ---- The map ---- */

struct copy {
	char *bytes; /* channel and payload */
	size_t channel_len, payload_len;
};

struct queue {
	struct copy *copies;
	size_t count, room;
};

struct entry {
	struct entry *next;
	char *name;
	size_t len;
	struct queue **members;
	size_t count, room;
};

#define BUCKETS 1024
static struct entry *buckets[BUCKETS];
static struct queue *queues;
static char **patterns;

static struct entry **
find(const char *name, size_t len)
{
	uint32_t hash = 2166136261;
	struct entry **link;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619;
	for (link = &buckets[hash % BUCKETS]; *link != NULL; link = &(*link)->next)
		if ((*link)->len == len && memcmp((*link)->name, name, len) == 0)
			break;
	return link;
}

static void
map_begin(const struct run *run)
{
	struct entry **link = find(CHANNEL, sizeof(CHANNEL) - 1), *entry;
	char pattern[40];

	queues = some(calloc(run->subscribers, sizeof(*queues)));
	entry = *link = some(calloc(1, sizeof(*entry)));
	entry->name = some(strdup(CHANNEL));
	entry->len = sizeof(CHANNEL) - 1;
	for (size_t i = 0; i < run->subscribers; i++) {
		if (entry->count == entry->room) {
			entry->room = entry->room * 2 + 8;
			entry->members =
			    some(realloc(entry->members, entry->room * sizeof(*entry->members)));
		}
		entry->members[entry->count++] = &queues[i];
	}
	patterns = some(calloc(run->patterns + 1, sizeof(*patterns)));
	for (size_t i = 0; i < run->patterns; i++) {
		name_pattern(pattern, sizeof(pattern), i);
		patterns[i] = some(strdup(pattern));
	}
}

static void
push(struct queue *q, const char *channel, size_t channel_len, const char *payload, size_t len)
{
	struct copy *copy;

	if (q->count == q->room) {
		q->room = q->room * 2 + 8;
		q->copies = some(realloc(q->copies, q->room * sizeof(*q->copies)));
	}
	copy = &q->copies[q->count++];
	copy->channel_len = channel_len;
	copy->payload_len = len;
	copy->bytes = some(malloc(channel_len + len));
	memcpy(copy->bytes, channel, channel_len);
	memcpy(copy->bytes + channel_len, payload, len);
}

static void
map_publish(const struct run *run)
{
	const struct entry *entry = *find(CHANNEL, sizeof(CHANNEL) - 1);

	for (size_t i = 0; i < entry->count; i++)
		push(entry->members[i], CHANNEL, sizeof(CHANNEL) - 1, run->payload,
		    run->payload_len);
	for (size_t i = 0; i < run->patterns; i++)
		must(!fanfare_glob_match(fanfare_bytes_of(patterns[i]), fanfare_bytes_of(CHANNEL)));
}

static void
map_read(struct run *run)
{
	for (size_t i = 0; i < run->subscribers; i++) {
		struct queue *q = &queues[i];

		for (size_t k = 0; k < q->count; k++) {
			const struct copy *copy = &q->copies[k];

			run->read +=
			    copy->payload_len + (unsigned char)copy->bytes[copy->channel_len];
			free(copy->bytes);
		}
		q->count = 0;
	}
}

static void
map_end(const struct run *run)
{
	struct entry **link = find(CHANNEL, sizeof(CHANNEL) - 1), *entry = *link;

	for (size_t i = 0; i < run->subscribers; i++)
		free(queues[i].copies);
	for (size_t i = 0; i < run->patterns; i++)
		free(patterns[i]);
	free(patterns);
	free(queues);
	free(entry->members);
	free(entry->name);
	free(entry);
	*link = NULL;
}

/* ---- Measuring ---- */

static const struct way {
	const char *name;
	void (*begin)(const struct run *run);
	void (*publish)(const struct run *run);
	void (*read)(struct run *run);
	void (*end)(const struct run *run);
} ways[] = {{"hub", hub_begin, hub_publish, hub_read, hub_end},
    {"map", map_begin, map_publish, map_read, map_end}};

static void
turn(const struct way *way, struct run *run)
{
	uint64_t publish_ns = 0, read_ns = 0;

	for (size_t done = 0; done < run->messages;) {
		uint64_t begun_ns = now_ns(), published_ns;

		for (size_t i = 0; i < QUEUED_MAX && done < run->messages; i++, done++)
			way->publish(run);
		published_ns = now_ns();
		way->read(run);
		publish_ns += published_ns - begun_ns;
		read_ns += now_ns() - published_ns;
	}
	if (run->publish_ns == 0 || publish_ns + read_ns < run->publish_ns + run->read_ns) {
		run->publish_ns = publish_ns;
		run->read_ns = read_ns;
	}
}

int
main(int argc, char **argv)
{
	const struct way *way = &ways[0];
	struct run run = {0};

	if (argc != 6) {
		fprintf(stderr, "usage: core hub|map SUBSCRIBERS PATTERNS PAYLOAD MESSAGES\n");
		return 2;
	}
	if (strcmp(argv[1], "map") == 0)
		way = &ways[1];
	run.subscribers = strtoul(argv[2], NULL, 10);
	run.patterns = strtoul(argv[3], NULL, 10);
	run.payload_len = strtoul(argv[4], NULL, 10);
	run.messages = strtoul(argv[5], NULL, 10);
	must(run.payload_len > 0 && run.messages > 0);
	run.payload = some(malloc(run.payload_len));
	memset(run.payload, 'x', run.payload_len);
	way->begin(&run);
	turn(way, &run); /* the first one allocates */
	run.publish_ns = run.read_ns = 0;
	for (int i = 0; i < TURNS; i++)
		turn(way, &run);
	way->end(&run);
	free(run.payload);
	printf("%.1f %.1f\n", (double)run.publish_ns / (double)run.messages,
	    (double)run.read_ns / (double)run.messages);
	return run.read == 0;
}
