#include "config.h"

#include "kv/eviction_policy.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "kv/memory.h"

#define DATABASES 2
#define KEYS 1000

static struct kv *kv;
static struct kv_db *db;
static struct kv_eviction_pool *pool;
static struct random random_source;
static struct kv_eviction_rules rules;

static void
setup(void)
{
	kv = kv_new(DATABASES);
	db = kv_database(kv, 0);
	pool = kv_eviction_pool_new(kv);
	random_seed(&random_source, 1);
	rules = (struct kv_eviction_rules){
	    .policy = KV_ALLKEYS_LRU, .samples = 5, .log_factor = 10, .decay_min = 1};
}

static void
teardown(void)
{
	kv_eviction_pool_free(pool);
	kv_free(kv);
	ck_assert_uint_eq(kv_used_bytes(), 0);
}

static struct slice
name_of(unsigned n)
{
	static char text[32];

	return (struct slice){text, (size_t)snprintf(text, sizeof(text), "key:%u", n)};
}

static struct kv_key *
put(struct kv_db *to, unsigned n, uint32_t access)
{
	struct kv_key *key = kv_put_string(to, NULL, name_of(n), SLICE("value"));

	kv_set_access(key, access);
	return key;
}

static unsigned
number_of(const struct kv_key *key)
{
	char text[32];
	struct slice name = kv_name(key);
	unsigned n;

	snprintf(text, sizeof(text), "%.*s", (int)name.len, name.ptr);
	ck_assert_int_eq(sscanf(text, "key:%u", &n), 1);
	return n;
}

/* Removes the key that the policy chooses, and returns its number. */
static unsigned
evict(uint64_t now_s)
{
	struct kv_db *from;
	struct kv_key *key = kv_eviction_pool_pick(pool, &rules, now_s, &random_source, &from);
	unsigned n;

	ck_assert_ptr_nonnull(key);
	n = number_of(key);
	kv_remove(from, key);
	return n;
}

static bool
has_any(uint64_t now_s)
{
	struct kv_db *from;

	return kv_eviction_pool_pick(pool, &rules, now_s, &random_source, &from) != NULL;
}

/* How many of the least used half of the keys are evicted before half of all keys is. */
static unsigned
good_choices(uint64_t now_s)
{
	unsigned good = 0, i;

	for (i = 0; i < KEYS / 2; i++)
		good += evict(now_s) < KEYS / 2;
	return good;
}

START_TEST(lru_evicts_the_longest_unused_keys)
{
	unsigned i;

	for (i = 0; i < KEYS; i++)
		put(db, i, i * 10);
	ck_assert_uint_ge(good_choices(KEYS * 10), KEYS / 2 * 85 / 100);
}
END_TEST

START_TEST(more_samples_choose_better)
{
	unsigned i;

	rules.samples = 30;
	for (i = 0; i < KEYS; i++)
		put(db, i, i * 10);
	ck_assert_uint_ge(good_choices(KEYS * 10), KEYS / 2 * 97 / 100);
}
END_TEST

START_TEST(under_lfu_those_go_that_are_used_the_least)
{
	unsigned i;

	rules.policy = KV_ALLKEYS_LFU;
	for (i = 0; i < KEYS; i++)
		put(db, i, i / 4);
	ck_assert_uint_ge(good_choices(0), KEYS / 2 * 80 / 100);
}
END_TEST

START_TEST(volatile_policies_take_only_keys_that_end)
{
	static const uint32_t policies[] = {
	    KV_VOLATILE_LRU, KV_VOLATILE_LFU, KV_VOLATILE_RANDOM, KV_VOLATILE_TTL};
	size_t p;
	unsigned i;

	for (p = 0; p < sizeof(policies) / sizeof(policies[0]); p++) {
		rules.policy = policies[p];
		for (i = 0; i < 100; i++) {
			struct kv_key *key = put(db, i, 0);

			if (i % 4 == 0)
				kv_set_expiry(db, key, 1000 + i);
		}
		for (i = 0; i < 25; i++)
			ck_assert_uint_eq(evict(5) % 4, 0);
		ck_assert(!has_any(5));
		ck_assert_uint_eq(kv_db_count(db), 75);
		kv_flush(db);
	}
}
END_TEST

START_TEST(a_remembered_key_that_does_not_end_any_more_stays)
{
	unsigned i;

	rules.policy = KV_VOLATILE_LRU;
	for (i = 0; i < 20; i++)
		kv_set_expiry(db, put(db, i, 0), 1000);
	evict(100);
	for (i = 0; i < 20; i++) {
		struct kv_key *key = kv_find(db, name_of(i));

		if (key != NULL)
			kv_set_expiry(db, key, KV_NEVER);
	}
	ck_assert(!has_any(100));
}
END_TEST

START_TEST(under_ttl_the_one_that_ends_first_goes_in_any_database)
{
	unsigned i;

	rules.policy = KV_VOLATILE_TTL;
	for (i = 0; i < 200; i++) {
		struct kv_db *to = kv_database(kv, i % DATABASES);

		kv_set_expiry(to, put(to, i, 0), 100000 - i);
	}
	for (i = 200; i-- > 0;)
		ck_assert_uint_eq(evict(0), i);
}
END_TEST

START_TEST(under_random_each_database_has_its_turn)
{
	unsigned i, of_first = 0;

	rules.policy = KV_ALLKEYS_RANDOM;
	for (i = 0; i < 100; i++) {
		put(db, i, 0);
		put(kv_database(kv, 1), 1000 + i, 0);
	}
	for (i = 0; i < 100; i++)
		of_first += evict(0) < 1000;
	ck_assert_uint_eq(of_first, 50);
	for (i = 0; i < 100; i++)
		evict(0);
	ck_assert(!has_any(0));
}
END_TEST

START_TEST(all_keys_go_in_the_end_whatever_their_names)
{
	static char long_name[5000];
	struct kv_db *from;
	unsigned i;

	memset(long_name, 'x', sizeof(long_name));
	for (i = 0; i < 50; i++) {
		kv_put_string(db, NULL, (struct slice){long_name, 250 + i}, SLICE("v"));
		put(kv_database(kv, 1), i, i);
	}
	kv_put_string(db, NULL, SLICE(""), SLICE("v"));
	for (i = 0; i < 101; i++) {
		struct kv_key *key =
		    kv_eviction_pool_pick(pool, &rules, 100, &random_source, &from);

		ck_assert_ptr_nonnull(key);
		kv_remove(from, key);
	}
	ck_assert(!has_any(100));
}
END_TEST

START_TEST(under_noeviction_none_goes)
{
	rules.policy = KV_NOEVICTION;
	put(db, 1, 0);
	ck_assert(!has_any(1000));
}
END_TEST

START_TEST(idleness_is_in_seconds_and_wraps_around)
{
	uint32_t access = kv_use_first(&rules, 0xfffffe);

	ck_assert_uint_eq(kv_use_idle_s(access, 0xfffffe), 0);
	ck_assert_uint_eq(kv_use_idle_s(access, 0x1000003), 5);
	access = kv_use_again(&rules, access, 0x1000003, &random_source);
	ck_assert_uint_eq(kv_use_idle_s(access, 0x1000003), 0);
}
END_TEST

START_TEST(a_count_of_uses_begins_at_5_and_one_use_more_makes_6)
{
	uint32_t access;

	rules.policy = KV_ALLKEYS_LFU;
	access = kv_use_first(&rules, 600);
	ck_assert_uint_eq(kv_use_count(&rules, access, 600), 5);
	access = kv_use_again(&rules, access, 600, &random_source);
	ck_assert_uint_eq(kv_use_count(&rules, access, 600), 6);
}
END_TEST

/* Redis's table for lfu-log-factor 10: 100 uses give 10, 1000 give 18, 100 000 give 142, a million
 * give 255. */
START_TEST(a_count_of_uses_grows_ever_more_slowly_up_to_255)
{
	uint32_t access;
	unsigned i, at_1000 = 0;

	rules.policy = KV_ALLKEYS_LFU;
	access = kv_use_first(&rules, 600);
	for (i = 1; i <= 2000000; i++) {
		access = kv_use_again(&rules, access, 600, &random_source);
		if (i == 1000)
			at_1000 = kv_use_count(&rules, access, 600);
	}
	ck_assert_uint_ge(at_1000, 12);
	ck_assert_uint_le(at_1000, 26);
	ck_assert_uint_eq(kv_use_count(&rules, access, 600), 255);
}
END_TEST

START_TEST(a_count_of_uses_falls_with_each_lfu_decay_time)
{
	uint32_t access;

	rules.policy = KV_ALLKEYS_LFU;
	rules.decay_min = 2;
	access = kv_use_first(&rules, 600);
	ck_assert_uint_eq(kv_use_count(&rules, access, 600 + 119), 5);
	ck_assert_uint_eq(kv_use_count(&rules, access, 600 + 120), 4);
	ck_assert_uint_eq(kv_use_count(&rules, access, 600 + 1200), 0);
	rules.decay_min = 0;
	ck_assert_uint_eq(kv_use_count(&rules, access, 600 + 1200), 5);
	/* The minute wraps around, too. */
	rules.decay_min = 1;
	access = kv_use_first(&rules, 65535 * 60);
	ck_assert_uint_eq(kv_use_count(&rules, access, 65537 * 60), 3);
}
END_TEST

int
main(void)
{
	return testing_main("kv/eviction_policy", setup, teardown,
	    (const TTest *[]){lru_evicts_the_longest_unused_keys, more_samples_choose_better,
		under_lfu_those_go_that_are_used_the_least,
		volatile_policies_take_only_keys_that_end,
		a_remembered_key_that_does_not_end_any_more_stays,
		under_ttl_the_one_that_ends_first_goes_in_any_database,
		under_random_each_database_has_its_turn,
		all_keys_go_in_the_end_whatever_their_names, under_noeviction_none_goes,
		idleness_is_in_seconds_and_wraps_around,
		a_count_of_uses_begins_at_5_and_one_use_more_makes_6,
		a_count_of_uses_grows_ever_more_slowly_up_to_255,
		a_count_of_uses_falls_with_each_lfu_decay_time, NULL});
}
