#include "config.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "acl/check.h"
#include "acl/user.h"
#include "base/alloc.h"
#include "base/buffer.h"
#include "cmd/args.h"
#include "cmd/handlers.h"
#include "cmd/sort_lookup.h"
#include "kv/keyspace.h"
#include "kv/list.h"
#include "kv/set.h"
#include "kv/zset.h"
#include "resp/writer.h"
#include "server/client.h"
#include "server/command.h"
#include "server/request_keys.h"
#include "server/server_config.h"

/* SORT and SORT_RO: the elements of a list, a set or a sorted set in another order. */

/* The most elements in a reply: several GETs may return each element many times. */
#define REPLY_MAX ((size_t)1 << 26)

struct element {
	struct slice value; /* borrowed */
	struct slice by;    /* the sort key, with ALPHA */
	double score;       /* the sort key, without ALPHA */
	bool has_by;
	size_t place; /* its index before sorting */
};

struct sort {
	bool descending, alpha, unsorted;
	bool has_by; /* BY was given; applies unless `unsorted` */
	struct sort_pattern by;
	struct sort_pattern *gets; /* owned */
	size_t get_count;
	int64_t limit_start, limit_count;
	const struct slice *store; /* the name, or NULL */
	struct element *elements;  /* owned */
	size_t count;
	char *integers; /* owned: text of the members of a set of integers */
	size_t integers_len;
	struct buffer scratch; /* for names of keys and text of numbers */
	bool no_number;        /* an element is not a number */
};

/*
 * The keys that BY and GET look up are not known before, so a user may use them only if it may read
 * all keys. In a replay of the append-only file no rules apply.
 */
static bool
may_look_up(struct request *rq, const char *option)
{
	if (rq->client->user->unrestricted || rq->server->replay != NULL ||
	    acl_reads_all_keys(rq->client->user, command_acl(rq->server->commands, rq->command),
		rq->argv, rq->argc))
		return true;
	request_error(
	    rq, "ERR %s option of SORT denied due to insufficient ACL permissions.", option);
	return false;
}

static bool
parse_by(struct request *rq, struct slice pattern, struct sort *s)
{
	s->by = sort_pattern_of(pattern);
	s->unsorted = s->unsorted || s->by.is_constant;
	s->has_by = true;
	return s->by.is_constant || may_look_up(rq, "BY");
}

static bool
parse_get(struct request *rq, struct slice pattern, struct sort *s)
{
	if (!may_look_up(rq, "GET"))
		return false;
	s->gets = xrealloc(s->gets, (s->get_count + 1) * sizeof(*s->gets));
	s->gets[s->get_count++] = sort_pattern_of(pattern);
	return true;
}

/* Reads the option at *at with its arguments. Returns false after replying with an error. */
static bool
parse_option(struct request *rq, size_t *at, bool may_store, struct sort *s)
{
	struct slice word = rq->argv[*at];
	size_t left = rq->argc - *at - 1;

	if (slice_is_nocase(word, "asc")) {
		s->descending = false;
	} else if (slice_is_nocase(word, "desc")) {
		s->descending = true;
	} else if (slice_is_nocase(word, "alpha")) {
		s->alpha = true;
	} else if (slice_is_nocase(word, "limit") && left >= 2) {
		*at += 2;
		return args_i64(rq, rq->argv[*at - 1], &s->limit_start) &&
		       args_i64(rq, rq->argv[*at], &s->limit_count);
	} else if (slice_is_nocase(word, "store") && left >= 1 && may_store) {
		s->store = &rq->argv[++*at];
	} else if (slice_is_nocase(word, "by") && left >= 1) {
		return parse_by(rq, rq->argv[++*at], s);
	} else if (slice_is_nocase(word, "get") && left >= 1) {
		return parse_get(rq, rq->argv[++*at], s);
	} else {
		request_syntax_error(rq);
		return false;
	}
	return true;
}

static bool
parse_sort(struct request *rq, bool may_store, struct sort *s)
{
	size_t i;

	s->limit_count = -1;
	for (i = 2; i < rq->argc; i++) {
		if (!parse_option(rq, &i, may_store, s))
			return false;
	}
	return true;
}

static void
add_element(struct sort *s, struct slice value)
{
	s->elements[s->count] = (struct element){.value = value, .place = s->count};
	s->count++;
}

static void
load_list(struct sort *s, const struct kv_list *list)
{
	enum kv_list_end end = s->unsorted && s->descending ? KV_LIST_TAIL : KV_LIST_HEAD;
	struct kv_list_place place;
	bool more;

	for (more = kv_list_at_end(list, end, &place); more; more = kv_list_step(&place, end))
		add_element(s, place.value);
}

static void
load_zset(struct sort *s, const struct kv_zset *zset)
{
	bool backwards = s->unsorted && s->descending;
	struct kv_zset_cursor cursor;
	struct kv_zset_entry entry;

	kv_zset_seek(zset, backwards ? kv_zset_count(zset) : 0, &cursor);
	while (backwards ? kv_zset_prev(&cursor, &entry) : kv_zset_next(&cursor, &entry))
		add_element(s, entry.member);
}

static bool
load_member(struct slice member, void *arg)
{
	struct sort *s = arg;

	/* The text of an integer is valid only during the visit. */
	if (s->integers != NULL) {
		memcpy(s->integers + s->integers_len, member.ptr, member.len);
		member.ptr = s->integers + s->integers_len;
		s->integers_len += member.len;
	}
	add_element(s, member);
	return true;
}

static void
load_set(struct sort *s, const struct kv_set *set)
{
	if (kv_set_encoding(set) == KV_SET_INTEGERS)
		s->integers = xmalloc(kv_set_count(set) * BYTES_I64_MAX);
	kv_set_each(set, load_member, s);
}

/* Returns false after replying with an error if its type cannot be sorted. */
static bool
load(struct request *rq, const struct kv_key *key, struct sort *s)
{
	const void *value;

	if (key == NULL)
		return true;
	if (kv_type_of(key) != KV_LIST && kv_type_of(key) != KV_SET && kv_type_of(key) != KV_ZSET)
		return key_is_of(rq, key, KV_LIST);
	value = kv_value(key);
	s->elements = xmalloc(kv_types[kv_type_of(key)].count(value) * sizeof(*s->elements));
	/* Neither a stored result nor a script may depend on the order of a hash table. */
	if (kv_type_of(key) == KV_SET && s->unsorted && (s->store != NULL || rq->in_script)) {
		s->unsorted = s->has_by = false;
		s->alpha = true;
	}
	if (kv_type_of(key) == KV_LIST)
		load_list(s, value);
	else if (kv_type_of(key) == KV_ZSET)
		load_zset(s, value);
	else
		load_set(s, value);
	return true;
}

/* Reads a number by strtod: empty text is 0. */
static double
number_of(struct sort *s, struct slice text)
{
	char *end;
	double v;

	buffer_clear(&s->scratch);
	buffer_append_slice(&s->scratch, text);
	buffer_append(&s->scratch, "", 1);
	errno = 0;
	v = strtod(s->scratch.ptr, &end);
	if (*end != '\0' || errno == ERANGE || isnan(v)) {
		s->no_number = true;
		return 0;
	}
	return v;
}

/* Finds the sort key of each element. */
static void
find_sort_keys(struct request *rq, struct sort *s)
{
	size_t i;

	for (i = 0; i < s->count; i++) {
		struct element *e = &s->elements[i];

		e->has_by = true;
		e->by = e->value;
		if (s->has_by)
			e->has_by = sort_lookup(rq, &s->by, e->value, &s->scratch, &e->by);
		if (e->has_by && !s->alpha)
			e->score = number_of(s, e->by);
		/* Redis compares by strcoll, which stops at a NUL, except to store the result. */
		else if (e->has_by && s->store == NULL && e->by.len > 0)
			e->by.len = strnlen(e->by.ptr, e->by.len);
	}
}

static int
compare(const void *x, const void *y, void *arg)
{
	const struct element *a = x, *b = y;
	const struct sort *s = arg;
	int order;

	if (!s->alpha) {
		order = (a->score > b->score) - (a->score < b->score);
		/* Equal scores are ordered by value, so that the result is deterministic. */
		if (order == 0)
			order = slice_compare(a->value, b->value);
	} else if (!a->has_by || !b->has_by) {
		order = a->has_by - b->has_by;
	} else {
		order = slice_compare(a->by, b->by);
	}
	if (order == 0)
		return (a->place > b->place) - (a->place < b->place);
	return s->descending ? -order : order;
}

/* The part of the elements that LIMIT selects. */
static void
cut(const struct sort *s, size_t *from, size_t *count)
{
	size_t start = s->limit_start > 0 ? (size_t)s->limit_start : 0;

	*from = start < s->count ? start : s->count;
	*count = s->count - *from;
	if (s->limit_count >= 0 && (size_t)s->limit_count < *count)
		*count = (size_t)s->limit_count;
}

static void
put_elements(struct request *rq, struct sort *s, size_t from, size_t count)
{
	struct slice value;
	size_t i, n;

	resp_put_array(rq->reply, count * (s->get_count > 0 ? s->get_count : 1));
	for (i = from; i < from + count; i++) {
		if (s->get_count == 0)
			resp_put_bulk(rq->reply, s->elements[i].value);
		for (n = 0; n < s->get_count; n++) {
			if (sort_lookup(rq, &s->gets[n], s->elements[i].value, &s->scratch, &value))
				resp_put_bulk(rq->reply, value);
			else
				resp_put_null(rq->reply, rq->proto);
		}
	}
}

static void
store_elements(struct request *rq, struct sort *s, size_t from, size_t count)
{
	struct slice value = SLICE("");
	struct kv_list *list;
	struct kv_key *old;
	size_t i, n;

	resp_put_int(rq->reply, (int64_t)(count * (s->get_count > 0 ? s->get_count : 1)));
	if (count == 0) {
		old = key_write(rq, *s->store);
		if (old != NULL)
			key_remove(rq, old, "del");
		return;
	}
	list = kv_list_new((int32_t)rq->server->config->kv.list_size);
	for (i = from; i < from + count; i++) {
		if (s->get_count == 0)
			kv_list_push(list, KV_LIST_TAIL, s->elements[i].value);
		for (n = 0; n < s->get_count; n++) {
			if (!sort_lookup(
				rq, &s->gets[n], s->elements[i].value, &s->scratch, &value))
				value = SLICE("");
			kv_list_push(list, KV_LIST_TAIL, value);
		}
	}
	key_put_value(rq, *s->store, KV_LIST, list);
	key_changed(rq, *s->store, KEY_LIST, "sortstore");
}

static void
sort_and_answer(struct request *rq, struct sort *s)
{
	size_t from, count;

	if (!s->unsorted && s->count > 0) {
		find_sort_keys(rq, s);
		if (s->no_number) {
			request_error(rq, "ERR One or more scores can't be converted into double");
			return;
		}
		qsort_r(s->elements, s->count, sizeof(*s->elements), compare, s);
	}
	cut(s, &from, &count);
	if (s->get_count > 0 && count > REPLY_MAX / s->get_count)
		request_error(rq, "ERR more than %zu elements in a reply", REPLY_MAX);
	else if (s->store != NULL)
		store_elements(rq, s, from, count);
	else
		put_elements(rq, s, from, count);
}

static enum command_result
sort(struct request *rq, bool may_store)
{
	struct sort s = {0};

	if (parse_sort(rq, may_store, &s) && load(rq, key_read(rq, rq->argv[1]), &s))
		sort_and_answer(rq, &s);
	xfree(s.gets);
	xfree(s.elements);
	xfree(s.integers);
	buffer_release(&s.scratch);
	return COMMAND_DONE;
}

enum command_result
cmd_sort(struct request *rq)
{
	return sort(rq, true);
}

enum command_result
cmd_sort_ro(struct request *rq)
{
	return sort(rq, false);
}
