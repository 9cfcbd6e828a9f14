#include "config.h"

#include "kv/stream.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "kv/memory.h"
#include "kv/stream_group.h"

/* A stream compared with an array, through seeded random operations. */
#define ENTRIES_MAX 20000
#define FIELDS_MAX 4

struct model_entry {
	struct stream_id id;
	unsigned seed; /* of its fields */
};

static struct {
	struct model_entry entries[ENTRIES_MAX];
	size_t count;
	uint64_t added;
	struct stream_id last, deleted;
	struct kv_stream *stream;
	uint64_t seed;
	struct kv_limits limits;
} m;

static uint64_t
below(uint64_t n)
{
	return testing_random(&m.seed) % n;
}

static void
setup(void)
{
	memset(&m, 0, sizeof(m));
	m.stream = kv_stream_new();
	m.limits = (struct kv_limits){.stream_node_bytes = 4096, .stream_node_entries = 100};
}

static void
teardown(void)
{
	kv_stream_free(m.stream);
	ck_assert_uint_eq(kv_used_bytes(), 0);
}

/* The fields of an entry: mostly the same names, sometimes others; texts of all lengths. */
struct fields {
	char texts[2 * FIELDS_MAX][300];
	struct slice pairs[2 * FIELDS_MAX];
	struct stream_fields fields;
};

static void
make_fields(struct fields *f, unsigned seed)
{
	uint64_t state = seed;
	bool is_usual = testing_random(&state) % 4 != 0;
	size_t count = is_usual ? 3 : 1 + testing_random(&state) % FIELDS_MAX;

	for (size_t i = 0; i < count; i++) {
		size_t len = testing_random(&state) % 8 == 0 ? testing_random(&state) % 300
							     : testing_random(&state) % 12;

		snprintf(
		    f->texts[2 * i], sizeof(f->texts[0]), "%s%zu", is_usual ? "field" : "x", i);
		f->pairs[2 * i] = slice_of(f->texts[2 * i]);
		memset(f->texts[2 * i + 1], (int)(testing_random(&state) % 256), len);
		f->pairs[2 * i + 1] = (struct slice){f->texts[2 * i + 1], len};
	}
	f->fields = (struct stream_fields){f->pairs, count};
}

static void
check_entry(struct stream_entry *entry, const struct model_entry *model)
{
	struct slice name, value;
	struct fields f;

	make_fields(&f, model->seed);
	ck_assert_int_eq(stream_id_compare(entry->id, model->id), 0);
	ck_assert_uint_eq(entry->field_count, f.fields.count);
	for (size_t i = 0; i < f.fields.count; i++) {
		stream_entry_next(entry, &name, &value);
		ck_assert(slice_eq(name, f.pairs[2 * i]) && slice_eq(value, f.pairs[2 * i + 1]));
	}
}

/* The place in the model of the first entry that is not before the id. */
static size_t
place_of(struct stream_id id, bool after)
{
	size_t at = 0;

	while (at < m.count && stream_id_compare(m.entries[at].id, id) < (after ? 1 : 0))
		at++;
	return at;
}

static void
check_walk(void)
{
	struct stream_id from = m.count > 0 && below(4) > 0
				    ? m.entries[below(m.count)].id
				    : (struct stream_id){below(1 + m.last.ms), below(3)};
	bool after = below(2) == 0;
	size_t at = place_of(from, after), steps = below(250);
	struct stream_cursor c;
	struct stream_entry entry;

	kv_stream_seek(m.stream, from, after, &c);
	/* Forwards and backwards, in turns. */
	for (size_t n = 0; n < steps; n++) {
		if (below(3) > 0) {
			ck_assert_int_eq(stream_cursor_next(&c, &entry), at < m.count);
			if (at < m.count)
				check_entry(&entry, &m.entries[at++]);
		} else {
			ck_assert_int_eq(stream_cursor_prev(&c, &entry), at > 0);
			if (at > 0)
				check_entry(&entry, &m.entries[--at]);
		}
	}
}

static void
check_all(const struct kv_stream *stream)
{
	struct stream_past past = kv_stream_past(stream);
	struct stream_cursor c;
	struct stream_entry entry;
	size_t at = 0;

	ck_assert(kv_stream_is_sound(stream));
	ck_assert_uint_eq(kv_stream_length(stream), m.count);
	ck_assert_uint_eq(past.added, m.added);
	ck_assert_int_eq(stream_id_compare(past.last_id, m.last), 0);
	ck_assert_int_eq(stream_id_compare(past.deleted_id, m.deleted), 0);
	kv_stream_seek(stream, STREAM_ID_MIN, false, &c);
	while (stream_cursor_next(&c, &entry))
		check_entry(&entry, &m.entries[at++]);
	ck_assert_uint_eq(at, m.count);
	kv_stream_seek(stream, STREAM_ID_MAX, true, &c);
	while (stream_cursor_prev(&c, &entry))
		check_entry(&entry, &m.entries[--at]);
	ck_assert_uint_eq(at, 0);
	if (m.count > 0) {
		ck_assert_int_eq(stream_id_compare(kv_stream_first_id(stream), m.entries[0].id), 0);
		ck_assert_int_eq(
		    stream_id_compare(kv_stream_top_id(stream), m.entries[m.count - 1].id), 0);
	}
}

static void
append(void)
{
	unsigned seed = (unsigned)testing_random(&m.seed);
	struct stream_id id = m.last;
	struct fields f;

	if (below(3) > 0)
		id.seq += 1 + below(2);
	else
		id = (struct stream_id){
		    id.ms + 1 + (below(50) == 0 ? UINT64_C(1) << (20 + below(20)) : below(5)),
		    below(3)};
	make_fields(&f, seed);
	kv_stream_append(m.stream, id, &f.fields, &m.limits);
	m.entries[m.count++] = (struct model_entry){id, seed};
	m.last = id;
	m.added++;
}

static void
model_remove(size_t at, size_t count)
{
	memmove(
	    &m.entries[at], &m.entries[at + count], (m.count - at - count) * sizeof(m.entries[0]));
	m.count -= count;
}

static void
remove_any(void)
{
	size_t at = m.count > 0 ? below(m.count) : 0;
	struct stream_id id = m.count > 0 ? m.entries[at].id : m.last;
	struct stream_entry entry;

	ck_assert_int_eq(kv_stream_find(m.stream, id, &entry), m.count > 0);
	ck_assert_int_eq(kv_stream_remove(m.stream, id), m.count > 0);
	ck_assert(!kv_stream_find(m.stream, id, &entry));
	ck_assert(!kv_stream_remove(m.stream, id));
	if (m.count == 0)
		return;
	if (stream_id_compare(id, m.deleted) > 0)
		m.deleted = id;
	model_remove(at, 1);
}

static void
trim(void)
{
	size_t count = m.count > 0 ? below(m.count < 300 ? m.count : 300) : 0, removed;
	struct stream_trim trim = {.by = below(2) == 0 ? STREAM_TRIM_LENGTH : STREAM_TRIM_ID,
	    .keep = m.count - count,
	    .from = m.count > 0 ? m.entries[count].id : m.last,
	    .is_rough = below(2) == 0,
	    .most = below(3) == 0 ? below(200) : 0};

	removed = (size_t)kv_stream_trim(m.stream, &trim);
	if (trim.is_rough) {
		ck_assert_uint_le(removed, count);
		ck_assert(trim.most == 0 || removed <= trim.most);
		ck_assert(trim.most > 0 || count - removed < 101);
	} else {
		ck_assert_uint_eq(removed, count);
	}
	model_remove(0, removed);
}

static void
run(int steps)
{
	for (int step = 0; step < steps; step++) {
		uint64_t choice = below(100);

		if (choice < (step / 4000 % 2 == 0 ? 80 : 30) && m.count < ENTRIES_MAX)
			append();
		else if (choice < 98)
			remove_any();
		else
			trim();
		if (step % 50 == 0)
			check_walk();
		if (step % 2000 == 0)
			check_all(m.stream);
	}
	check_all(m.stream);
}

START_TEST(random_operations_have_the_same_results_as_with_an_array)
{
	run(testing_steps(20000));
}
END_TEST

START_TEST(the_same_with_small_nodes)
{
	m.seed = 2;
	m.limits.stream_node_entries = 3;
	run(testing_steps(10000));
}
END_TEST

START_TEST(the_same_with_large_nodes)
{
	m.seed = 3;
	m.limits = (struct kv_limits){.stream_node_bytes = 1 << 20, .stream_node_entries = 101};
	run(testing_steps(10000));
}
END_TEST

START_TEST(a_copy_is_equal_and_independent)
{
	struct kv_stream *copy;

	m.seed = 4;
	run(testing_steps(5000));
	copy = kv_stream_copy(m.stream);
	check_all(copy);
	while (m.count > 0)
		remove_any();
	check_all(m.stream);
	kv_stream_free(m.stream);
	m.stream = copy;
}
END_TEST

/* Pending entries: who has which. */
#define IDS 600
#define CONSUMERS 5

static struct {
	int owner[IDS]; /* -1: not pending */
	uint64_t deliveries[IDS];
	size_t counts[CONSUMERS];
} p;

static struct stream_consumer *
consumer_of(struct stream_group *group, size_t which)
{
	struct slice name = {&"abcde"[which], 1};
	struct stream_consumer *consumer = stream_group_consumer(group, name);

	return consumer != NULL ? consumer : stream_group_add_consumer(group, name, 1);
}

static void
check_pending(const struct stream_group *group)
{
	size_t total = 0;

	for (size_t i = 0; i < CONSUMERS; i++) {
		const struct stream_consumer *consumer =
		    stream_group_consumer(group, (struct slice){&"abcde"[i], 1});

		ck_assert_uint_eq(consumer != NULL ? consumer->pending.count : 0, p.counts[i]);
		total += p.counts[i];
	}
	ck_assert_uint_eq(group->pending.count, total);
	for (size_t i = 0; i < IDS; i++) {
		const struct stream_pending *pending =
		    id_tree_find(&group->pending, (struct stream_id){i, 0});

		ck_assert_int_eq(pending != NULL, p.owner[i] >= 0);
		if (pending == NULL)
			continue;
		ck_assert_int_eq(pending->consumer->name[0], "abcde"[p.owner[i]]);
		ck_assert_uint_eq(pending->deliveries, p.deliveries[i]);
		ck_assert_ptr_eq(
		    id_tree_find(&pending->consumer->pending, (struct stream_id){i, 0}), pending);
	}
}

static void
forget(size_t i)
{
	if (p.owner[i] >= 0)
		p.counts[p.owner[i]]--;
	p.owner[i] = -1;
	p.deliveries[i] = 0;
}

static void
change_pending(struct stream_group *group)
{
	size_t i = below(IDS), which = below(CONSUMERS);
	uint64_t choice = below(1000);

	if (choice < 600) {
		stream_group_assign(group, (struct stream_id){i, 0}, consumer_of(group, which))
		    ->deliveries++;
		if (p.owner[i] >= 0)
			p.counts[p.owner[i]]--;
		else
			p.deliveries[i] = 1;
		p.owner[i] = (int)which;
		p.counts[which]++;
		p.deliveries[i]++;
	} else if (choice < 995) {
		ck_assert_int_eq(
		    stream_group_acknowledge(group, (struct stream_id){i, 0}), p.owner[i] >= 0);
		forget(i);
	} else {
		stream_group_remove_consumer(group, consumer_of(group, which));
		for (i = 0; i < IDS; i++)
			if (p.owner[i] == (int)which)
				forget(i);
	}
}

START_TEST(random_pending_entries_belong_to_one_consumer_each)
{
	struct stream_group *group =
	    stream_groups_add(kv_stream_groups(m.stream), SLICE("g"), STREAM_ID_MIN, 0);
	struct kv_stream *copy;

	m.seed = 5;
	for (size_t i = 0; i < IDS; i++)
		p.owner[i] = -1;
	for (int step = 0; step < testing_steps(30000); step++) {
		change_pending(group);
		if (step % 1000 == 0)
			check_pending(group);
	}
	check_pending(group);
	copy = kv_stream_copy(m.stream);
	kv_stream_free(m.stream);
	m.stream = copy;
	check_pending(stream_groups_find(kv_stream_groups(copy), SLICE("g")));
}
END_TEST

int
main(void)
{
	return testing_main("kv/stream_model", setup, teardown,
	    (const TTest *[]){random_operations_have_the_same_results_as_with_an_array,
		the_same_with_small_nodes, the_same_with_large_nodes,
		a_copy_is_equal_and_independent, random_pending_entries_belong_to_one_consumer_each,
		NULL});
}
