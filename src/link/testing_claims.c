#include "config.h"

#include "link/testing_claims.h"

#include <check.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "resp/writer.h"

#define CLAIMS "fanfare:claims:"
#define CLAIMERS "fanfare:claimers:"

static uint64_t
number_of(struct slice text)
{
	uint64_t number = 0;

	ck_assert(slice_to_u64(text, &number));
	return number;
}

static void
copy(char *to, struct slice from)
{
	ck_assert_uint_lt(from.len, TESTING_CLAIM_TEXT);
	memcpy(to, from.ptr, from.len);
	to[from.len] = '\0';
}

static struct slice
behind(struct slice key, const char *prefix)
{
	size_t len = strlen(prefix);

	ck_assert(key.len > len && memcmp(key.ptr, prefix, len) == 0);
	return (struct slice){key.ptr + len, key.len - len};
}

static struct testing_claim_group *
group_of(struct testing_claims *claims, struct slice key)
{
	struct testing_claim_group *group = NULL;

	for (size_t i = 0; i < TESTING_CLAIM_GROUPS; i++) {
		if (slice_is(key, claims->groups[i].key))
			return &claims->groups[i];
		if (group == NULL && claims->groups[i].key[0] == '\0')
			group = &claims->groups[i];
	}
	ck_assert_ptr_nonnull(group);
	copy(group->key, key);
	return group;
}

static struct testing_claimer *
claimer_of(struct testing_claims *claims, struct slice key, struct slice node)
{
	struct testing_claimer *claimer = NULL;

	for (size_t i = 0; i < (size_t)TESTING_CLAIM_GROUPS * TESTING_CLAIMERS; i++) {
		struct testing_claimer *at = &claims->claimers[i];

		if (at->members > 0 && slice_is(key, at->key) && slice_is(node, at->node))
			return at;
		if (claimer == NULL && at->members == 0)
			claimer = at;
	}
	ck_assert_ptr_nonnull(claimer);
	copy(claimer->key, key);
	copy(claimer->node, node);
	return claimer;
}

static void
add(struct testing_claim_group *group, size_t at, uint64_t seq, struct slice node)
{
	ck_assert_uint_lt(group->count, TESTING_CLAIMS);
	memmove(&group->claims[at + 1], &group->claims[at],
	    (group->count - at) * sizeof(*group->claims));
	group->count++;
	group->claims[at].seq = seq;
	copy(group->claims[at].node, node);
}

static int
claim(struct testing_claim_group *group, struct slice text, struct slice node, uint64_t floor)
{
	bool asks = text.len > 0 && text.ptr[0] == '?';
	uint64_t seq = number_of((struct slice){text.ptr + asks, text.len - asks});
	size_t at = 0;

	while (at < group->count && group->claims[at].seq < seq)
		at++;
	if (at < group->count && group->claims[at].seq == seq)
		return slice_is(node, group->claims[at].node);
	if (seq < floor)
		return 3;
	if (asks)
		return 2;
	add(group, at, seq, node);
	return 1;
}

static int
compare(const void *a, const void *b)
{
	const struct testing_claimer *const *left = a, *const *right = b;

	return strcmp((*left)->node, (*right)->node);
}

static void
put_claimers(struct testing_claims *claims, struct slice key, uint64_t now_s, struct buffer *reply)
{
	struct testing_claimer *some[TESTING_CLAIMERS];
	size_t count = 0;

	for (size_t i = 0; i < (size_t)TESTING_CLAIM_GROUPS * TESTING_CLAIMERS; i++) {
		struct testing_claimer *at = &claims->claimers[i];

		if (at->members == 0 || !slice_is(key, at->key))
			continue;
		if (now_s - at->seen_s >= 30) {
			at->members = 0;
			continue;
		}
		ck_assert_uint_lt(count, TESTING_CLAIMERS);
		some[count++] = at;
	}
	qsort(some, count, sizeof(*some), compare);
	for (size_t i = 0; i < count; i++) {
		resp_put_bulk_str(reply, some[i]->node);
		resp_put_bulk_int(reply, (int64_t)some[i]->members);
	}
}

static size_t
count_claimers(const struct testing_claims *claims, struct slice key, uint64_t now_s)
{
	size_t count = 0;

	for (size_t i = 0; i < (size_t)TESTING_CLAIM_GROUPS * TESTING_CLAIMERS; i++)
		count += claims->claimers[i].members > 0 &&
			 slice_is(key, claims->claimers[i].key) &&
			 now_s - claims->claimers[i].seen_s < 30;
	return count;
}

/* ARGV: node, members, ttl, most, seqs. */
void
testing_claims_execute(struct testing_claims *claims, const struct slice *keys,
    const struct slice *argv, size_t count, uint64_t now_s, struct buffer *reply)
{
	struct testing_claim_group *group = group_of(claims, behind(keys[0], CLAIMS));
	struct slice key = behind(keys[1], CLAIMERS);
	struct testing_claimer *claimer = claimer_of(claims, key, argv[0]);
	size_t most = TESTING_CLAIMS / 2;
	uint64_t floor = group->count >= most ? group->claims[0].seq : 0;

	ck_assert_uint_gt(number_of(argv[3]), most);
	ck_assert_uint_ge(number_of(argv[2]), 3600000);
	claimer->members = number_of(argv[1]);
	claimer->seen_s = now_s;
	resp_put_array(reply, 1 + 2 * count_claimers(claims, key, now_s));
	resp_put_array(reply, count - 4);
	for (size_t i = 4; i < count; i++)
		resp_put_int(reply, claim(group, argv[i], argv[0], floor));
	if (group->count > most) {
		memmove(group->claims, &group->claims[group->count - most],
		    most * sizeof(*group->claims));
		group->count = most;
	}
	put_claimers(claims, key, now_s, reply);
	if (group->count == 0)
		group->key[0] = '\0';
}
