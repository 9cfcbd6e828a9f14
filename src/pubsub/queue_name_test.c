#include "config.h"

#include "pubsub/queue_name.h"

#include <check.h>

#include "base/testing.h"

static const struct {
	const char *name;
	bool begins;
	const char *group, *topic; /* NULL: it is no complete name */
} cases[] = {
    {"$queue/g/jobs", true, "g", "jobs"},
    {"$queue/g/a/b/", true, "g", "a/b/"},
    {"$queue/g//", true, "g", "/"},
    {"$queue/a b*/news.*", true, "a b*", "news.*"},
    {"$queue/g/$queue/h/x", true, "g", "$queue/h/x"},
    {"$queue/", true, NULL, NULL},
    {"$queue/g", true, NULL, NULL},
    {"$queue/g/", true, NULL, NULL},
    {"$queue//jobs", true, NULL, NULL},
    {"$queue", false, NULL, NULL},
    {"", false, NULL, NULL},
    {"$Queue/g/jobs", false, NULL, NULL},
    {"a$queue/g/jobs", false, NULL, NULL},
};

START_TEST(a_name_has_a_group_up_to_the_first_slash_and_a_topic)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct slice name = slice_of(cases[i].name), group, topic;

		ck_assert_int_eq(queue_name_is(name), cases[i].begins);
		ck_assert_int_eq(queue_name_parse(name, &group, &topic), cases[i].group != NULL);
		if (cases[i].group == NULL) {
			ck_assert(slice_eq(queue_name_topic(name), name));
			continue;
		}
		ck_assert(slice_is(group, cases[i].group));
		ck_assert(slice_is(topic, cases[i].topic));
		ck_assert(slice_eq(queue_name_topic(name), topic));
	}
}
END_TEST

START_TEST(a_topic_with_a_special_character_is_a_pattern)
{
	static const char *const patterns[] = {"*", "a*", "?b", "a[", "\\a"};

	for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++)
		ck_assert_int_eq(queue_topic_kind(slice_of(patterns[i])), HUB_PATTERN);
	ck_assert_int_eq(queue_topic_kind(SLICE("")), HUB_CHANNEL);
	ck_assert_int_eq(queue_topic_kind(SLICE("a]^-b")), HUB_CHANNEL);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/queue_name", NULL, NULL,
	    (const TTest *[]){a_name_has_a_group_up_to_the_first_slash_and_a_topic,
		a_topic_with_a_special_character_is_a_pattern, NULL});
}
