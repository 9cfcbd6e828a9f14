#include "config.h"

#include "link/interest.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"
#include "base/hash_map.h"
#include "link/interest_names.h"
#include "link/wanted_name.h"
#include "resp/writer.h"

/* For so long, besides, names stay that somebody is about to subscribe to with others. */
#define NEEDED_US ((uint64_t)10000000)

/* Names that one call frees or passes over on its way to the next command. */
#define PASSED_AT_ONCE 4096

struct interest *
interest_new(void)
{
	struct interest *interest = xcalloc(1, sizeof(*interest));

	interest->batch = INTEREST_BATCH;
	interest->session = 1; /* 0: no connection */
	for (size_t kind = 0; kind < HUB_KINDS; kind++)
		interest->maps[kind] = hash_map_new();
	for (size_t state = 0; state < INTEREST_STATES; state++)
		TAILQ_INIT(&interest->lists[state]);
	return interest;
}

void
interest_free(struct interest *interest)
{
	struct wanted_name *name;

	for (size_t state = 0; state < INTEREST_STATES; state++)
		while ((name = TAILQ_FIRST(&interest->lists[state])) != NULL) {
			TAILQ_REMOVE(&interest->lists[state], name, link);
			xfree(name);
		}
	for (size_t kind = 0; kind < HUB_KINDS; kind++)
		hash_map_free(interest->maps[kind]);
	xfree(interest);
}

void
interest_set_linger(struct interest *interest, uint64_t linger_us)
{
	interest->linger_us = linger_us;
}

static struct wanted_name *
find_or_add(struct interest *interest, enum hub_kind kind, struct slice bytes)
{
	struct wanted_name *name = wanted_name_find(interest, kind, bytes);

	if (name != NULL)
		return name;
	name = xcalloc(1, sizeof(*name) + bytes.len);
	name->kind = (uint8_t)kind;
	name->len = (uint32_t)bytes.len;
	name->session = interest->session;
	name->state = INTEREST_ABSENT;
	memcpy(name->bytes, bytes.ptr, bytes.len);
	hash_map_set(interest->maps[kind], bytes, name);
	return name;
}

void
interest_add(struct interest *interest, enum hub_kind kind, struct slice bytes)
{
	struct wanted_name *name = find_or_add(interest, kind, bytes);

	name->has_members = true;
	name->until_us = 0; /* who was expected has come */
	wanted_name_expect(interest, name, false);
	wanted_name_happen(interest, name, INTEREST_WANTED, 0);
}

void
interest_remove(struct interest *interest, enum hub_kind kind, struct slice bytes, uint64_t now_us)
{
	struct wanted_name *name = wanted_name_find(interest, kind, bytes);

	if (name == NULL || !name->has_members)
		return;
	name->has_members = false;
	wanted_name_happen(interest, name, INTEREST_UNWANTED, now_us);
}

enum interest_state
interest_need(struct interest *interest, enum hub_kind kind, struct slice bytes, uint64_t now_us)
{
	struct wanted_name *name = find_or_add(interest, kind, bytes);
	enum interest_state state;

	/* At least for as long as the caller needs to subscribe after the answer. */
	if (name->until_us < now_us + interest->linger_us + NEEDED_US)
		name->until_us = now_us + interest->linger_us + NEEDED_US;
	if (!name->has_members)
		wanted_name_expect(interest, name, true);
	wanted_name_happen(interest, name, INTEREST_WANTED, now_us);
	state = wanted_name_state(interest, name);
	if (state == INTEREST_LINGERS) { /* the list is in the order of until_us */
		TAILQ_REMOVE(&interest->lists[state], name, link);
		TAILQ_INSERT_TAIL(&interest->lists[state], name, link);
	}
	return state;
}

enum interest_state
interest_of(const struct interest *interest, enum hub_kind kind, struct slice bytes)
{
	const struct wanted_name *name = wanted_name_find(interest, kind, bytes);

	return name != NULL ? wanted_name_state(interest, name) : INTEREST_ABSENT;
}

uint64_t
interest_mark(const struct interest *interest)
{
	return interest->answered + interest->count[INTEREST_WAITING] +
	       interest->count[INTEREST_ASKED] + interest->count[INTEREST_LEAVING];
}

uint64_t
interest_answered(const struct interest *interest)
{
	return interest->answered;
}

void
interest_set_batch(struct interest *interest, size_t names)
{
	interest->batch = names;
}

void
interest_set_visitor(struct interest *interest,
    void (*visit)(void *arg, enum hub_kind kind, struct slice name), void *arg)
{
	interest->visit = visit;
	interest->visitor = arg;
}

void
interest_again(struct interest *interest, enum hub_kind kind, struct slice bytes, uint64_t now_us)
{
	struct wanted_name *name = wanted_name_find(interest, kind, bytes);
	enum interest_state state =
	    name != NULL ? wanted_name_state(interest, name) : INTEREST_ABSENT;

	if (state == INTEREST_HELD || state == INTEREST_LINGERS)
		wanted_name_enter(interest, name, INTEREST_WAITING, now_us);
}

static void
write_command(struct buffer *out, enum hub_kind kind, bool leaves, const struct wanted_name *first,
    size_t count)
{
	static const char *const verbs[HUB_KINDS][2] = {
	    [HUB_CHANNEL] = {"SUBSCRIBE", "UNSUBSCRIBE"},
	    [HUB_PATTERN] = {"PSUBSCRIBE", "PUNSUBSCRIBE"},
	    [HUB_SHARD] = {"SSUBSCRIBE", "SUNSUBSCRIBE"},
	};

	resp_put_array(out, count + 1);
	resp_put_bulk_str(out, verbs[kind][leaves]);
	for (const struct wanted_name *name = first; name != NULL; name = TAILQ_NEXT(name, link))
		resp_put_bulk(out, wanted_name_bytes(name));
}

/* Whether messages of the name were or may have been missed up to now. */
static bool
may_miss(const struct wanted_name *name)
{
	return name->has_members || name->was_held;
}

/* Writes RESUME or PRESUME for those names of the next command whose messages may have been missed.
 * Returns their number. */
static size_t
write_resume(struct buffer *out, enum hub_kind kind, struct slice since, struct wanted_name *first)
{
	struct wanted_name *name;
	size_t count = 0;

	if (since.len == 0 || kind == HUB_SHARD) /* shard channels keep no history */
		return 0;
	for (name = first; name != NULL; name = TAILQ_NEXT(name, link))
		count += may_miss(name);
	if (count == 0)
		return 0;
	resp_put_array(out, 1 + count * 2);
	resp_put_bulk_str(out, kind == HUB_PATTERN ? "PRESUME" : "RESUME");
	for (name = first; name != NULL; name = TAILQ_NEXT(name, link))
		if (may_miss(name)) {
			name->resumption = RESUMES_MAYBE;
			resp_put_bulk(out, wanted_name_bytes(name));
			resp_put_bulk(out, since);
		}
	return count;
}

static bool
linger_too_many(const struct interest *interest)
{
	return interest->count[INTEREST_LINGERS] - interest->expected > INTEREST_LINGERING_MAX;
}

/* If too many names linger, the oldest of them are due at once, but for those that somebody is
 * about to subscribe to: these make way. False: the name is one of them. */
static bool
hurry(struct interest *interest, struct wanted_name *name, uint64_t now_us)
{
	struct wanted_names *list = &interest->lists[INTEREST_LINGERS];

	if (!linger_too_many(interest))
		return true;
	if (!name->is_expected || name->until_us <= now_us) {
		name->until_us = 0;
		return true;
	}
	TAILQ_REMOVE(list, name, link);
	TAILQ_INSERT_TAIL(list, name, link);
	return false;
}

/* Takes names for one command from the front of a list; those that nobody wants any more are freed
 * on the way, and those that are to stay are passed over. */
static struct interest_command
take(struct interest *interest, enum interest_state from, enum interest_event event,
    uint64_t now_us, struct slice since, struct buffer *out)
{
	struct interest_command command = {.leaves = from == INTEREST_LINGERS};
	struct wanted_name *name, *next, *first = NULL;
	enum hub_kind kind = HUB_CHANNEL;
	size_t bytes = 0, passed = 0;

	for (name = TAILQ_FIRST(&interest->lists[from]); name != NULL && passed < PASSED_AT_ONCE;
	     name = next) {
		bool is_alone = name->is_alone && !command.leaves;

		next = TAILQ_NEXT(name, link);
		if (command.leaves && !hurry(interest, name, now_us)) {
			passed++;
			continue;
		}
		if (command.leaves && name->until_us > now_us)
			break;
		if (from == INTEREST_WAITING && wanted_name_want(name, now_us) == INTEREST_NOBODY) {
			wanted_name_happen(interest, name, event, now_us);
			passed++;
			continue;
		}
		if (first != NULL && (name->kind != kind || is_alone))
			break;
		kind = (enum hub_kind)name->kind;
		wanted_name_happen(interest, name, event, now_us);
		first = first != NULL ? first : name;
		bytes += name->len;
		if (++command.names >= interest->batch || bytes >= INTEREST_BATCH_BYTES || is_alone)
			break;
	}
	if (command.names > 0 && !command.leaves)
		command.resumed = write_resume(out, kind, since, first);
	if (command.names > 0 && !command.leaves && interest->visit != NULL)
		for (name = first; name != NULL; name = TAILQ_NEXT(name, link))
			interest->visit(interest->visitor, kind, wanted_name_bytes(name));
	if (command.names > 0)
		write_command(out, kind, command.leaves, first, command.names);
	return command;
}

/* Names that entered this state a while ago are asked for again, or forgotten. */
static void
retry(struct interest *interest, enum interest_state state, uint64_t now_us)
{
	struct wanted_name *name;

	while ((name = TAILQ_FIRST(&interest->lists[state])) != NULL && name->retry_us <= now_us)
		wanted_name_happen(interest, name, INTEREST_DUE, now_us);
}

struct interest_command
interest_write(struct interest *interest, uint64_t now_us, struct slice since, struct buffer *out)
{
	struct interest_command command;

	retry(interest, INTEREST_REFUSED, now_us);
	retry(interest, INTEREST_MOVED, now_us);
	command = take(interest, INTEREST_WAITING, INTEREST_SENT, now_us, since, out);
	return command.names > 0
		   ? command
		   : take(interest, INTEREST_LINGERS, INTEREST_DUE, now_us, since, out);
}

uint64_t
interest_due_us(const struct interest *interest)
{
	const struct wanted_name *lingers = TAILQ_FIRST(&interest->lists[INTEREST_LINGERS]);
	const struct wanted_name *refused = TAILQ_FIRST(&interest->lists[INTEREST_REFUSED]);
	const struct wanted_name *moved = TAILQ_FIRST(&interest->lists[INTEREST_MOVED]);
	uint64_t leave_us = lingers != NULL ? lingers->until_us : UINT64_MAX;
	uint64_t retry_us = refused != NULL ? refused->retry_us : UINT64_MAX;

	if (interest->count[INTEREST_WAITING] > 0 || linger_too_many(interest))
		return 0;
	if (moved != NULL && moved->retry_us < retry_us)
		retry_us = moved->retry_us;
	return leave_us < retry_us ? leave_us : retry_us;
}

/* The first name of a list, if it is that. */
static struct wanted_name *
expect(struct interest *interest, enum interest_state state, enum hub_kind kind, struct slice bytes)
{
	struct wanted_name *name = TAILQ_FIRST(&interest->lists[state]);

	return name != NULL && name->kind == kind && slice_eq(wanted_name_bytes(name), bytes)
		   ? name
		   : NULL;
}

/* A pattern that resumes gets what its channels keep; but it may match channels that keep nothing.
 */
static enum interest_join
how_joined(const struct interest *interest, const struct wanted_name *name)
{
	if (interest->has_forgotten)
		return INTEREST_MISSED;
	if (!may_miss(name))
		return INTEREST_JOINED;
	return name->resumption == RESUMES && name->kind != HUB_PATTERN &&
		       !interest->has_live_pattern
		   ? INTEREST_RESUMED
		   : INTEREST_MISSED;
}

bool
interest_confirm(struct interest *interest, enum hub_kind kind, struct slice bytes, uint64_t now_us,
    enum interest_join *how)
{
	struct wanted_name *name = expect(interest, INTEREST_ASKED, kind, bytes);

	if (name == NULL)
		return false;
	*how = how_joined(interest, name);
	if (kind == HUB_PATTERN && name->resumption != RESUMES)
		interest->has_live_pattern = true;
	name->course = name->resumption == RESUMES ? COURSE_RESUMED : COURSE_LIVE;
	name->resumption = RESUMES_NOT;
	interest->has_forgotten = false;
	name->is_alone = false;
	name->was_held = true;
	name->held_session = interest->session;
	wanted_name_happen(interest, name, INTEREST_CONFIRMED, now_us);
	return true;
}

bool
interest_left(struct interest *interest, enum hub_kind kind, struct slice bytes, uint64_t now_us)
{
	struct wanted_name *name = expect(interest, INTEREST_LEAVING, kind, bytes);

	if (name == NULL)
		return false;
	name->was_held = false;
	name->held_session = 0;
	wanted_name_happen(interest, name, INTEREST_LEFT, now_us);
	return true;
}

void
interest_refuse(struct interest *interest, size_t count, uint64_t now_us)
{
	struct wanted_name *name;

	assert(count <= interest->count[INTEREST_ASKED]);
	if (count == 1) {
		name = TAILQ_FIRST(&interest->lists[INTEREST_ASKED]);
		wanted_name_happen(interest, name, INTEREST_DENIED, now_us);
		return;
	}
	name = TAILQ_FIRST(&interest->lists[INTEREST_ASKED]);
	for (size_t i = 0; i < count; i++, name = TAILQ_NEXT(name, link))
		name->is_alone = true;
	interest_retry(interest, count, now_us);
}

/* They go before those that wait, which were wanted later. */
void
interest_retry(struct interest *interest, size_t count, uint64_t now_us)
{
	struct wanted_names *waiting = &interest->lists[INTEREST_WAITING];
	struct wanted_name *name, *before = NULL;

	assert(count <= interest->count[INTEREST_ASKED]);
	for (; count > 0; count--, before = name) {
		name = TAILQ_FIRST(&interest->lists[INTEREST_ASKED]);
		name->resumption = RESUMES_NOT;
		wanted_name_enter(interest, name, INTEREST_WAITING, now_us);
		TAILQ_REMOVE(waiting, name, link);
		if (before == NULL)
			TAILQ_INSERT_HEAD(waiting, name, link);
		else
			TAILQ_INSERT_AFTER(waiting, before, name, link);
	}
}

/* Names that are answered leave the list, and commands are answered in order: the names in question
 * are the first ones of it. */
void
interest_resumed(struct interest *interest, const bool *misses_nothing, size_t count)
{
	struct wanted_name *name = TAILQ_FIRST(&interest->lists[INTEREST_ASKED]);
	size_t done = 0;

	for (; name != NULL && done < count; name = TAILQ_NEXT(name, link))
		if (name->resumption == RESUMES_MAYBE)
			name->resumption = misses_nothing[done++] ? RESUMES : RESUMES_NOT;
}

void
interest_lost(struct interest *interest)
{
	size_t total = 0;

	for (size_t state = 0; state < INTEREST_STATES; state++) {
		total += interest->count[state];
		interest->count[state] = 0;
		if (state != INTEREST_WAITING)
			TAILQ_CONCAT(
			    &interest->lists[INTEREST_WAITING], &interest->lists[state], link);
	}
	interest->count[INTEREST_WAITING] = total;
	interest->expected = 0;
	interest->has_live_pattern = false;
	interest->session++;
}

bool
interest_misses(struct interest *interest, enum hub_kind kind, struct slice bytes)
{
	struct wanted_name *name = wanted_name_find(interest, kind, bytes);
	enum interest_state state =
	    name != NULL ? wanted_name_state(interest, name) : INTEREST_ABSENT;

	if ((state != INTEREST_WAITING && state != INTEREST_ASKED) || !may_miss(name) ||
	    name->missed_session == interest->session)
		return false;
	name->missed_session = interest->session;
	return true;
}

bool
interest_is_joining(const struct interest *interest)
{
	return interest->count[INTEREST_WAITING] + interest->count[INTEREST_ASKED] > 0;
}

static struct wanted_name *
find_held(const struct interest *interest, enum hub_kind kind, struct slice bytes)
{
	struct wanted_name *name = wanted_name_find(interest, kind, bytes);

	return name != NULL && name->held_session == interest->session ? name : NULL;
}

/* The messages of a live pattern may come before those that a channel resumes. */
enum interest_course
interest_hear(struct interest *interest, enum hub_kind kind, struct slice bytes)
{
	struct wanted_name *name = find_held(interest, kind, bytes);

	if (name == NULL || name->course == COURSE_HEARD)
		return INTEREST_GOES_ON;
	if (name->course == COURSE_RESUMED)
		return interest->has_live_pattern ? INTEREST_GOES_ON : INTEREST_FOLLOWS;
	name->course = COURSE_HEARD;
	return INTEREST_JUMPS;
}

bool
interest_has_resumed(const struct interest *interest, enum hub_kind kind, struct slice bytes)
{
	const struct wanted_name *name = find_held(interest, kind, bytes);

	return name != NULL && name->course == COURSE_RESUMED;
}

struct interest_figures
interest_figures(const struct interest *interest)
{
	struct interest_figures figures = {0};

	for (size_t state = 0; state < INTEREST_STATES; state++) {
		figures.count[state] = interest->count[state];
		figures.names += interest->count[state];
	}
	return figures;
}
