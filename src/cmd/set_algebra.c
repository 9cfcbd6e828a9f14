#include "config.h"

#include <assert.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/buffer.h"
#include "cmd/args.h"
#include "cmd/difference.h"
#include "cmd/handlers.h"
#include "kv/keyspace.h"
#include "kv/set.h"
#include "resp/writer.h"
#include "server/request_keys.h"
#include "server/server_config.h"

/*
 * SINTER, SUNION, SDIFF, their STORE forms, and SINTERCARD. A result is collected as a set if it is
 * stored or if duplicates must be found; otherwise as bulk strings, or it is only counted.
 */
struct algebra {
	struct request *rq;
	struct kv_set **sets; /* values of the keys; NULL for a missing key */
	size_t set_count;
	struct kv_set *set;  /* the result; NULL: it goes to bulks */
	struct buffer bulks; /* unless is_counted */
	bool is_counted;
	uint64_t limit; /* stop after this many members; 0: no limit */
	size_t count;   /* members of the result */
};

typedef void operation(struct algebra *a);

static bool
emit(struct slice member, void *arg)
{
	struct algebra *a = arg;

	if (a->set != NULL)
		a->count += kv_set_add(a->set, member, &a->rq->server->config->kv);
	else
		a->count++;
	if (a->set == NULL && !a->is_counted)
		resp_put_bulk(&a->bulks, member);
	return a->count != a->limit;
}

static bool
emit_if_in_all(struct slice member, void *arg)
{
	struct algebra *a = arg;
	size_t i;

	for (i = 1; i < a->set_count; i++)
		if (a->sets[i] != a->sets[0] && !kv_set_has(a->sets[i], member))
			return true;
	return emit(member, a);
}

static int
by_count(const void *a, const void *b)
{
	size_t x = kv_set_count(*(struct kv_set *const *)a);
	size_t y = kv_set_count(*(struct kv_set *const *)b);

	return (x > y) - (x < y);
}

/* Starts with the smallest set. */
static void
intersect(struct algebra *a)
{
	size_t i;

	for (i = 0; i < a->set_count; i++)
		if (a->sets[i] == NULL)
			return;
	qsort(a->sets, a->set_count, sizeof(struct kv_set *), by_count);
	kv_set_each(a->sets[0], emit_if_in_all, a);
}

static void
unite(struct algebra *a)
{
	size_t there = 0, i;

	for (i = 0; i < a->set_count; i++)
		there += a->sets[i] != NULL;
	if (there > 1 && a->set == NULL)
		a->set = kv_set_new();
	for (i = 0; i < a->set_count; i++)
		if (a->sets[i] != NULL)
			kv_set_each(a->sets[i], emit, a);
}

static bool
emit_if_in_no_other(struct slice member, void *arg)
{
	struct algebra *a = arg;
	size_t i;

	for (i = 1; i < a->set_count; i++)
		if (a->sets[i] != NULL &&
		    (a->sets[i] == a->sets[0] || kv_set_has(a->sets[i], member)))
			return true;
	return emit(member, a);
}

static bool
withdraw(struct slice member, void *arg)
{
	struct algebra *a = arg;

	a->count -= kv_set_remove(a->set, member);
	return a->count > 0;
}

static bool
is_by_look_up(const struct algebra *a)
{
	size_t all = 0, i;

	assert(a->set_count > 0);
	for (i = 0; i < a->set_count; i++)
		all += a->sets[i] != NULL ? kv_set_count(a->sets[i]) : 0;
	return difference_is_by_look_up(kv_set_count(a->sets[0]), all, a->set_count);
}

static void
subtract(struct algebra *a)
{
	size_t i;

	if (a->sets[0] == NULL)
		return;
	if (is_by_look_up(a)) {
		kv_set_each(a->sets[0], emit_if_in_no_other, a);
		return;
	}
	if (a->set == NULL)
		a->set = kv_set_new();
	kv_set_each(a->sets[0], emit, a);
	for (i = 1; i < a->set_count && a->count > 0; i++)
		if (a->sets[i] != NULL)
			kv_set_each(a->sets[i], withdraw, a);
}

/*
 * Looks up the sets of `count` keys from argument `first` on. Returns false after replying with an
 * error if one is of another type. A later look-up does not invalidate an earlier set: it can
 * remove only expired keys, and the time is the same for all look-ups.
 */
static bool
begin(struct request *rq, size_t first, size_t count, struct algebra *a)
{
	void *set;
	size_t i;

	*a = (struct algebra){.rq = rq, .set_count = count};
	a->sets = xcalloc(count, sizeof(struct kv_set *));
	for (i = 0; i < count; i++) {
		if (!key_read_value(rq, rq->argv[first + i], KV_SET, &set)) {
			xfree(a->sets);
			return false;
		}
		a->sets[i] = set;
	}
	return true;
}

static void
end(struct algebra *a)
{
	if (a->set != NULL)
		kv_set_free(a->set);
	buffer_release(&a->bulks);
	xfree(a->sets);
}

static bool
put_member(struct slice member, void *arg)
{
	struct request *rq = arg;

	resp_put_bulk(rq->reply, member);
	return true;
}

static enum command_result
answer(struct request *rq, operation *operate)
{
	struct algebra a;

	if (!begin(rq, 1, rq->argc - 1, &a))
		return COMMAND_DONE;
	operate(&a);
	resp_put_set(rq->reply, rq->proto, a.count);
	if (a.set != NULL)
		kv_set_each(a.set, put_member, rq);
	else if (a.count > 0)
		buffer_append_slice(rq->reply, buffer_slice(&a.bulks));
	end(&a);
	return COMMAND_DONE;
}

static enum command_result
store(struct request *rq, operation *operate, const char *event)
{
	struct kv_key *old;
	struct algebra a;

	if (!begin(rq, 2, rq->argc - 2, &a))
		return COMMAND_DONE;
	a.set = kv_set_new();
	operate(&a);
	resp_put_int(rq->reply, (int64_t)a.count);
	if (a.count > 0) {
		key_put_value(rq, rq->argv[1], KV_SET, a.set);
		a.set = NULL;
		key_changed(rq, rq->argv[1], KEY_SET, event);
	} else if ((old = key_write(rq, rq->argv[1])) != NULL) {
		key_remove(rq, old, "del");
	}
	end(&a);
	return COMMAND_DONE;
}

enum command_result
cmd_sinter(struct request *rq)
{
	return answer(rq, intersect);
}

enum command_result
cmd_sunion(struct request *rq)
{
	return answer(rq, unite);
}

enum command_result
cmd_sdiff(struct request *rq)
{
	return answer(rq, subtract);
}

enum command_result
cmd_sinterstore(struct request *rq)
{
	return store(rq, intersect, "sinterstore");
}

enum command_result
cmd_sunionstore(struct request *rq)
{
	return store(rq, unite, "sunionstore");
}

enum command_result
cmd_sdiffstore(struct request *rq)
{
	return store(rq, subtract, "sdiffstore");
}

/* Reads the number of keys from argument 1. Returns false after replying with an error. */
static bool
read_key_count(struct request *rq, size_t *count)
{
	int64_t n;

	if (!slice_to_i64(rq->argv[1], &n) || n < 1) {
		request_error(rq, "ERR numkeys should be greater than 0");
		return false;
	}
	if ((uint64_t)n > rq->argc - 2) {
		request_error(rq, "ERR Number of keys can't be greater than number of args");
		return false;
	}
	*count = (size_t)n;
	return true;
}

static bool
read_limit(struct request *rq, size_t first, uint64_t *limit)
{
	int64_t n;
	size_t i;

	*limit = 0;
	for (i = first; i < rq->argc; i += 2) {
		if (i + 1 == rq->argc || !slice_is_nocase(rq->argv[i], "limit")) {
			request_syntax_error(rq);
			return false;
		}
		if (!slice_to_i64(rq->argv[i + 1], &n) || n < 0) {
			request_error(rq, "ERR LIMIT can't be negative");
			return false;
		}
		*limit = (uint64_t)n;
	}
	return true;
}

enum command_result
cmd_sintercard(struct request *rq)
{
	struct algebra a;
	uint64_t limit;
	size_t count;

	if (!read_key_count(rq, &count) || !read_limit(rq, 2 + count, &limit) ||
	    !begin(rq, 2, count, &a))
		return COMMAND_DONE;
	a.is_counted = true;
	a.limit = limit;
	intersect(&a);
	resp_put_int(rq->reply, (int64_t)a.count);
	end(&a);
	return COMMAND_DONE;
}
