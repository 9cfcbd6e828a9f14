#include "config.h"

#include "pubsub/topic_tags.h"

#include <check.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "base/testing.h"
#include "pubsub/channel_tree.h"

#define MANY 100000

static struct topic_tags *tags;
static struct topic *topics;

static void
setup(void)
{
	tags = topic_tags_new();
	topics = xcalloc(MANY, sizeof(*topics));
}

static void
teardown(void)
{
	topic_tags_free(tags);
	xfree(topics);
}

START_TEST(each_topic_has_a_tag_of_its_own_which_stays)
{
	uint32_t first = topic_tags_of(tags, &topics[0]), second = topic_tags_of(tags, &topics[1]);

	ck_assert_uint_ne(first, 0);
	ck_assert_uint_ne(second, 0);
	ck_assert_uint_ne(first, second);
	ck_assert_uint_eq(topic_tags_of(tags, &topics[0]), first);
	topic_tags_dropped(tags, first, 1);
	topic_tags_dropped(tags, first, 1);
	topic_tags_dropped(tags, 0, 1);
	ck_assert_uint_eq(topic_tags_drops(tags, &topics[0]), 2);
	ck_assert_uint_eq(topic_tags_drops(tags, &topics[1]), 0);
}
END_TEST

START_TEST(a_tag_whose_topic_is_gone_counts_for_nobody)
{
	uint32_t gone[50];

	for (int n = 0; n < 50; n++) {
		gone[n] = topic_tags_of(tags, &topics[0]);
		topic_tags_release(tags, &topics[0]);
	}
	(void)topic_tags_of(tags, &topics[0]);
	for (int n = 0; n < 50; n++)
		topic_tags_dropped(tags, gone[n], 1);
	ck_assert_uint_eq(topic_tags_drops(tags, &topics[0]), 0);
}
END_TEST

static void
take(int from, int to)
{
	for (int i = from; i < to; i++)
		ck_assert_uint_ne(topic_tags_of(tags, &topics[i]), 0);
}

static void
release(int from, int to)
{
	for (int i = from; i < to; i++)
		topic_tags_release(tags, &topics[i]);
}

START_TEST(memory_goes_with_the_topics)
{
	size_t before = alloc_used_bytes(), most;

	for (int round = 0; round < 3; round++) {
		take(0, MANY);
		most = alloc_used_bytes() - before;
		ck_assert_uint_ge(most, MANY * 16);
		release(0, MANY - 10);
		ck_assert_uint_lt(alloc_used_bytes() - before, most / 5);
		release(MANY - 10, MANY);
	}
}
END_TEST

/* Slots are allocated again, and drops with tags of their earlier topics are still ignored. */
START_TEST(tags_of_slots_that_were_given_back_count_for_nobody)
{
	int many = testing_steps(MANY);
	uint32_t *gone = xcalloc((size_t)many, sizeof(*gone));

	for (int round = 0; round < 3; round++) {
		take(0, many);
		for (int i = 0; i < many; i++)
			gone[i] = topics[i].tag;
		release(0, many);
		for (int i = 0; i < many; i++)
			topic_tags_dropped(tags, gone[i], 1);
	}
	take(0, many);
	for (int i = 0; i < many; i++)
		topic_tags_dropped(tags, gone[i], 1);
	for (int i = 0; i < many; i++)
		ck_assert_uint_eq(topic_tags_drops(tags, &topics[i]), 0);
	xfree(gone);
}
END_TEST

START_TEST(random_steps_agree_with_a_plain_model)
{
	uint64_t seed = 1, *drops = xcalloc(MANY, sizeof(*drops));

	for (int n = testing_steps(400000); n > 0; n--) {
		int i = (int)(testing_random(&seed) % (MANY / 8));

		switch (testing_random(&seed) % 4) {
		case 0:
			topic_tags_release(tags, &topics[i]);
			drops[i] = 0;
			break;
		case 1:
			(void)topic_tags_of(tags, &topics[i]);
			break;
		default:
			topic_tags_dropped(tags, topics[i].tag, 1);
			drops[i] += topics[i].tag != 0;
			break;
		}
		ck_assert_uint_eq(topic_tags_drops(tags, &topics[i]), drops[i]);
	}
	xfree(drops);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/topic_tags", setup, teardown,
	    (const TTest *[]){each_topic_has_a_tag_of_its_own_which_stays,
		a_tag_whose_topic_is_gone_counts_for_nobody, memory_goes_with_the_topics,
		tags_of_slots_that_were_given_back_count_for_nobody,
		random_steps_agree_with_a_plain_model, NULL});
}
