#include "config.h"

#include "core/testing_core_model.h"

#include <fanfare/core.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUBSCRIBERS 6
#define CHANNELS 6
#define PATTERNS 4
#define NAMES (CHANNELS + PATTERNS)
#define KEPT 5 /* messages of a channel that begins with h */
#define QUEUE_MAX 4096

/* No channel matches two of the patterns: the order of a subscriber's patterns is not defined. */
static const char *const names[NAMES] = {
    "a1", "a2", "b", "h1", "h2", "h3", "a*", "[^ah]", "h[1-2]", "z?*"};

struct item {
	int name;       /* through which it was received; -1: messages are missing here */
	int channel;    /* of a message */
	uint64_t value; /* the payload, or how many are missing */
	uint64_t seq;   /* 0: not kept */
};

struct peer {
	struct fanfare_subscriber *s;
	bool has[NAMES];
	bool is_closed;
	struct fanfare_limits limits;
	struct item queue[QUEUE_MAX];
	size_t count; /* of items */
	size_t messages;
	uint64_t dropped;
};

struct kept {
	struct item items[KEPT];
	size_t count;
	uint64_t trimmed_seq;
};

static struct {
	struct fanfare_hub *hub;
	struct peer *peers; /* SUBSCRIBERS of them */
	struct kept kept[CHANNELS];
	uint64_t base_seq, newest_seq, value, now_us;
	uint64_t random, hash, step;
	uint64_t readies, overflows;
	char fault[200];
} m;

static uint64_t
draw(uint64_t limit)
{
	uint64_t z = m.random += 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % limit;
}

/* FNV-1a, a number at a time. */
static void
trace(uint64_t value)
{
	for (int i = 0; i < 8; i++, value >>= 8)
		m.hash = (m.hash ^ (value & 255)) * 0x100000001b3;
}

static void
expect(const char *what, uint64_t got, uint64_t expected)
{
	trace(got);
	if (got == expected || m.fault[0] != '\0')
		return;
	snprintf(m.fault, sizeof(m.fault), "step %llu: %s is %llu, not %llu",
	    (unsigned long long)m.step, what, (unsigned long long)got,
	    (unsigned long long)expected);
}

static struct fanfare_bytes
name_of(int i)
{
	return fanfare_bytes_of(names[i]);
}

static void
on_ready(void *arg, struct fanfare_subscriber *s)
{
	(void)arg;
	(void)s;
	trace(++m.readies);
}

static void
on_overflow(void *arg, struct fanfare_subscriber *s, enum fanfare_end end)
{
	(void)arg;
	(void)s;
	m.overflows += end == FANFARE_OVERFLOW;
}

/* Half of the peers have no limits: these resume. */
static void
open_peer(struct peer *p)
{
	struct fanfare_subscriber_options options = {.size = sizeof(options),
	    .limits = &p->limits,
	    .ready = on_ready,
	    .overflow = on_overflow};

	memset(p, 0, sizeof(*p));
	p->limits.size = sizeof(p->limits);
	if ((p - m.peers) % 2 == 1) {
		p->limits.messages = (uint32_t)draw(4) + 1;
		p->limits.policy = (enum fanfare_policy)draw(3);
		p->limits.notify = draw(2) == 0;
	}
	expect("new", fanfare_subscriber_new(m.hub, &options, &p->s), FANFARE_OK);
}

static void
close_peer(struct peer *p)
{
	while (fanfare_subscriber_close(p->s, draw(3) + 1) == FANFARE_MORE)
		continue;
}

/* The model's outbox: messages are missing at the end, or in front of everything. */
static void
miss(struct peer *p, bool in_front)
{
	size_t at = in_front || p->count == 0 ? 0 : p->count - 1;

	p->dropped++;
	if (!p->limits.notify)
		return;
	if (p->count > 0 && p->queue[at].name < 0) {
		p->queue[at].value++;
		return;
	}
	at = in_front ? 0 : p->count;
	memmove(p->queue + at + 1, p->queue + at, (p->count++ - at) * sizeof(*p->queue));
	p->queue[at] = (struct item){.name = -1, .value = 1};
}

static void
drop_oldest(struct peer *p)
{
	size_t at = 0;

	while (p->queue[at].name < 0)
		at++;
	memmove(p->queue + at, p->queue + at + 1, (--p->count - at) * sizeof(*p->queue));
	p->messages--;
	miss(p, true);
}

static void
push(struct peer *p, const struct item *item)
{
	bool is_full = p->limits.messages > 0 && p->messages == p->limits.messages;

	if (is_full && p->limits.policy == FANFARE_DROP_OLDEST) {
		drop_oldest(p);
	} else if (is_full) {
		miss(p, false);
		p->is_closed = p->limits.policy == FANFARE_DISCONNECT;
		return;
	}
	p->queue[p->count++] = *item;
	p->messages++;
}

static void
keep(const struct item *item)
{
	struct kept *kept = &m.kept[item->channel];

	if (kept->count == KEPT) {
		kept->trimmed_seq = kept->items[0].seq;
		memmove(kept->items, kept->items + 1, --kept->count * sizeof(*kept->items));
	}
	kept->items[kept->count++] = *item;
}

/* Delivers through one name; returns the number of receivers. */
static uint64_t
deliver(struct item item, int name, const struct peer *except)
{
	uint64_t receivers = 0;

	item.name = name;
	for (int i = 0; i < SUBSCRIBERS; i++) {
		struct peer *p = &m.peers[i];

		if (p == except || p->is_closed || !p->has[name])
			continue;
		receivers++;
		push(p, &item);
	}
	return receivers;
}

static bool
matches(int pattern, int channel)
{
	return fanfare_glob_match(name_of(pattern), name_of(channel));
}

static void
publish(void)
{
	struct peer *except = draw(4) == 0 ? &m.peers[draw(SUBSCRIBERS)] : NULL;
	struct item item = {.channel = (int)draw(CHANNELS), .value = ++m.value};
	char text[32];
	struct fanfare_post post = {.size = sizeof(post),
	    .channel = name_of(item.channel),
	    .except = except != NULL ? except->s : NULL};
	struct fanfare_outcome outcome = {.receivers = 0};
	uint64_t receivers;

	snprintf(text, sizeof(text), "%llu", (unsigned long long)item.value);
	post.payload = fanfare_bytes_of(text);
	if (names[item.channel][0] == 'h') {
		item.seq = ++m.newest_seq;
		keep(&item);
	}
	receivers = deliver(item, item.channel, except);
	for (int i = CHANNELS; i < NAMES; i++)
		if (matches(i, item.channel))
			receivers += deliver(item, i, except);
	expect("publish", fanfare_post(m.hub, &post, m.now_us, &outcome), FANFARE_OK);
	expect("receivers", outcome.receivers, receivers);
	expect("position", outcome.position.seq, item.seq);
}

static uint64_t
number_of(struct fanfare_bytes text)
{
	uint64_t number = 0;

	for (size_t i = 0; i < text.len; i++)
		number = number * 10 + (unsigned char)(text.data[i] - '0');
	return number;
}

/* Compares what was read with the first item of the model. */
static void
compare(struct peer *p, const struct fanfare_message *message)
{
	const struct item *item = &p->queue[0];
	struct fanfare_bytes by;

	if (item->name < 0) {
		expect("kind", message->kind, FANFARE_MISSED);
		expect("missed", message->missed, item->value);
		return;
	}
	expect("kind", message->kind, FANFARE_MESSAGE);
	by = item->name < CHANNELS ? message->channel : message->pattern;
	expect("name",
	    by.len == strlen(names[item->name]) && memcmp(by.data, names[item->name], by.len) == 0,
	    1);
	expect("by pattern", message->pattern.data != NULL, item->name >= CHANNELS);
	expect("channel", (unsigned char)message->channel.data[0],
	    (unsigned char)names[item->channel][0]);
	expect("payload", number_of(message->payload), item->value);
	expect("seq", message->position.seq, item->seq);
	p->messages--;
}

static void
read_messages(struct peer *p, uint64_t most)
{
	struct fanfare_message message;

	while (most-- > 0) {
		enum fanfare_result result = fanfare_subscriber_next(p->s, &message);

		if (p->count == 0) {
			expect("end", result, p->is_closed ? FANFARE_CLOSED : FANFARE_EMPTY);
			return;
		}
		expect("next", result, FANFARE_OK);
		if (result != FANFARE_OK)
			return;
		compare(p, &message);
		memmove(p->queue, p->queue + 1, --p->count * sizeof(*p->queue));
	}
}

static void
work(void)
{
	while (fanfare_hub_work(m.hub, m.now_us, NULL) == FANFARE_MORE)
		continue;
}

/* Whether all messages of the channel behind seq are kept. */
static bool
has_all(int channel, uint64_t seq)
{
	return seq >= m.base_seq && seq >= m.kept[channel].trimmed_seq && seq <= m.newest_seq;
}

/* The kept messages behind seq of the channels that the name means, merged. */
static uint64_t
replay(struct peer *p, int name, uint64_t seq)
{
	uint64_t count = 0;

	while (seq < m.newest_seq) {
		seq++;
		for (int c = 0; c < CHANNELS; c++)
			for (size_t i = 0; i < m.kept[c].count; i++) {
				struct item item = m.kept[c].items[i];

				if (item.seq != seq ||
				    (name < CHANNELS ? c != name : !matches(name, c)))
					continue;
				item.name = name;
				push(p, &item);
				count++;
			}
	}
	return count;
}

static enum fanfare_verdict
verdict_of(int name, uint64_t seq)
{
	if (name < CHANNELS)
		return names[name][0] != 'h' ? FANFARE_NO_HISTORY
		       : has_all(name, seq)  ? FANFARE_RESUMED
					     : FANFARE_LOST;
	for (int c = 0; c < CHANNELS; c++)
		if (matches(name, c) && !has_all(c, seq))
			return FANFARE_LOST;
	return seq >= m.base_seq && seq <= m.newest_seq ? FANFARE_RESUMED : FANFARE_LOST;
}

static void
resume(struct peer *p, int name)
{
	uint64_t span = m.newest_seq - m.base_seq + 3;
	uint64_t seq = m.base_seq - 1 + draw(span < 12 ? span : 12) + (span < 12 ? 0 : span - 12);
	struct fanfare_resumption resumption = {.count = 0};
	char text[FANFARE_POSITION_TEXT];
	enum fanfare_verdict verdict = verdict_of(name, seq);
	enum fanfare_result result;

	fanfare_position_print((struct fanfare_position){1, seq}, text);
	result = name < CHANNELS ? fanfare_resume(p->s, name_of(name), fanfare_bytes_of(text),
				       m.now_us, &resumption)
				 : fanfare_presume(p->s, name_of(name), fanfare_bytes_of(text),
				       m.now_us, 0, &resumption);
	expect("resume", result, p->has[name] ? FANFARE_ALREADY : FANFARE_OK);
	if (result != FANFARE_OK)
		return;
	p->has[name] = true;
	expect("verdict", resumption.verdict, verdict);
	expect("count", resumption.count, verdict == FANFARE_RESUMED ? replay(p, name, seq) : 0);
	work();
}

static void
subscribe(struct peer *p, int name)
{
	enum fanfare_result result = name < CHANNELS
					 ? fanfare_subscribe(p->s, name_of(name), m.now_us)
					 : fanfare_psubscribe(p->s, name_of(name));

	expect("subscribe", result,
	    p->is_closed   ? FANFARE_CLOSED
	    : p->has[name] ? FANFARE_ALREADY
			   : FANFARE_OK);
	p->has[name] = p->has[name] || !p->is_closed;
}

static void
unsubscribe(struct peer *p, int name)
{
	enum fanfare_result result = name < CHANNELS ? fanfare_unsubscribe(p->s, name_of(name))
						     : fanfare_punsubscribe(p->s, name_of(name));

	expect("unsubscribe", result,
	    p->is_closed   ? FANFARE_CLOSED
	    : p->has[name] ? FANFARE_OK
			   : FANFARE_NOT_SUBSCRIBED);
	p->has[name] = p->has[name] && p->is_closed;
}

static bool
compare_kept(void *arg, const struct fanfare_message *message)
{
	const struct item **next = arg;

	expect("kept seq", message->position.seq, (*next)->seq);
	expect("kept payload", number_of(message->payload), (*next)++->value);
	return true;
}

static void
read_history(void)
{
	int channel = (int)draw(CHANNELS);
	const struct kept *kept = &m.kept[channel];
	uint64_t n = draw(KEPT + 2), expected = n < kept->count ? n : kept->count, count = 0;
	const struct item *next = kept->items + kept->count - expected;

	expect("history",
	    fanfare_history_last(m.hub, name_of(channel), n, m.now_us, compare_kept, &next, &count),
	    FANFARE_OK);
	expect("history count", count, expected);
}

static void
look(void)
{
	struct fanfare_figures figures = {.size = sizeof(figures)};
	uint64_t messages = 0, dropped = 0;
	int channel = (int)draw(CHANNELS);
	size_t members = 0;

	expect("figures", fanfare_hub_figures(m.hub, &figures), FANFARE_OK);
	for (int i = 0; i < SUBSCRIBERS; i++) {
		struct fanfare_queue queue = {.size = sizeof(queue)};

		expect("queue", fanfare_subscriber_queue(m.peers[i].s, &queue), FANFARE_OK);
		dropped += queue.dropped;
		messages += m.peers[i].messages;
		expect("dropped", queue.dropped, m.peers[i].dropped);
		members += m.peers[i].has[channel];
	}
	expect("queued", figures.queued_messages, messages);
	expect("published", figures.published, m.value);
	expect("numsub", fanfare_numsub(m.hub, name_of(channel)), members);
	trace(dropped);
}

static void
step(void)
{
	struct peer *p = &m.peers[draw(SUBSCRIBERS)];
	uint64_t what = draw(100);

	if (p->count > QUEUE_MAX - 64)
		read_messages(p, QUEUE_MAX);
	if (what < 40)
		publish();
	else if (what < 65)
		read_messages(p, draw(6) + 1);
	else if (what < 75)
		subscribe(p, (int)draw(NAMES));
	else if (what < 82)
		unsubscribe(p, (int)draw(NAMES));
	else if (what < 88) {
		/* The order in which arguments are evaluated is the compiler's choice. */
		p = &m.peers[draw(SUBSCRIBERS) & ~UINT64_C(1)];
		resume(p, (int)draw(NAMES));
	} else if (what < 92)
		read_history();
	else if (what < 95)
		look();
	else if (what < 98)
		work();
	else if (p->is_closed || draw(4) == 0) {
		close_peer(p);
		open_peer(p);
	}
	m.now_us += draw(1000);
}

static void
begin(uint64_t seed)
{
	struct peer *peers = m.peers;

	memset(&m, 0, sizeof(m));
	m.peers = peers != NULL ? peers : malloc(SUBSCRIBERS * sizeof(*peers));
	m.random = seed;
	m.hash = 0xcbf29ce484222325;
	expect("hub", fanfare_hub_new(NULL, &m.hub), FANFARE_OK);
	expect("options",
	    fanfare_channel_set(m.hub, fanfare_bytes_of("h*"),
		fanfare_bytes_of("history-size 5 history-ttl 1000000"), NULL),
	    FANFARE_OK);
	m.base_seq = m.newest_seq = fanfare_newest_position(m.hub).seq;
	for (int i = 0; i < SUBSCRIBERS; i++)
		open_peer(&m.peers[i]);
}

uint64_t
core_model_run(uint64_t seed, uint32_t steps)
{
	begin(seed);
	for (m.step = 0; m.step < steps && m.fault[0] == '\0'; m.step++)
		step();
	for (int i = 0; i < SUBSCRIBERS && m.fault[0] == '\0'; i++)
		read_messages(&m.peers[i], QUEUE_MAX + 1);
	expect("end", fanfare_hub_free(m.hub), FANFARE_OK);
	free(m.peers);
	m.peers = NULL;
	return m.fault[0] == '\0' ? m.hash : 0;
}

const char *
core_model_fault(void)
{
	return m.fault[0] != '\0' ? m.fault : NULL;
}
