#include "config.h"

#include "pubsub/testing_replay.h"

#include <check.h>
#include <string.h>

#include "pubsub/hub_options.h"

struct hub_limits testing_hub_limits;
struct history_limits testing_history_limits;

struct hub *
testing_replay_hub(const struct wire_form *form)
{
	const struct hub_config config = {
	    .limits = &testing_hub_limits,
	    .history = &testing_history_limits,
	    .epoch = TESTING_EPOCH,
	    .forms = form,
	    .form_count = 1,
	    .segment_bytes = 65536,
	};

	testing_hub_limits =
	    (struct hub_limits){.subscriptions = 100, .subscribers = 1000, .name_bytes = 100};
	testing_history_limits = (struct history_limits){.channels = 1000};
	return hub_new(&config);
}

void
testing_set_line(struct hub *hub, const char *glob, const char *words)
{
	struct slice list[16];
	struct channel_error error;
	size_t count = 0;

	while (*words != '\0') {
		size_t len = strcspn(words, " ");

		ck_assert_uint_lt(count, 16);
		list[count++] = (struct slice){words, len};
		words += len + strspn(words + len, " ");
	}
	ck_assert(hub_set_channel_line(hub, slice_of(glob), list, count, &error));
	while (!hub_reclassify(hub, 100))
		continue;
}
