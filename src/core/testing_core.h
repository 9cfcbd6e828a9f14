#ifndef CORE_TESTING_CORE_H
#define CORE_TESTING_CORE_H

#include <check.h>
#include <fanfare/core.h>
#include <string.h>

/* Shorthand for the tests of the library, which use its public headers only. */
#define B(string) fanfare_bytes_of(string)

#define ck_assert_ok(call) ck_assert_str_eq(fanfare_result_text(call), "done")
#define ck_assert_result(call, result)                                                             \
	ck_assert_str_eq(fanfare_result_text(call), fanfare_result_text(result))

/* A hub with these options of channels ("GLOB: words", NULL: none). */
struct fanfare_hub *testing_hub(const struct fanfare_hub_options *options, const char *line);

/* Messages of at most `messages` (0: no limit) under the policy. */
struct fanfare_subscriber *testing_subscriber(
    struct fanfare_hub *hub, enum fanfare_policy policy, uint32_t messages, bool notify);

/* Everything that is queued for s, as "channel=payload " or "pattern>channel=payload " or
 * "missed:N ", and at the end "closed" if it is. Valid until the next call. */
const char *testing_read(struct fanfare_subscriber *s);

/* Publishes and returns the number of receivers. */
size_t testing_publish(struct fanfare_hub *hub, const char *channel, const char *payload);

/* fanfare_hub_work() until nothing is left. */
void testing_work(struct fanfare_hub *hub, uint64_t now_us);

#define TESTING_NOW_US 1000000

#endif
