#include "config.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/testing.h"
#include "base/testing_glob.h"
#include "pubsub/channel_classes.h"

/*
 * The model: the lines are searched from end to end with a plain matcher of globs. Names that are
 * held have a class, whose options are those at the time when it was taken.
 */
static struct channel_classes *classes;
static uint64_t seed;

static void
setup(void)
{
	classes = channel_classes_new();
}

static void
teardown(void)
{
	channel_classes_free(classes);
}

enum { LINES = 24, HELD = 40, NAME_MAX = 7, STEPS = 40000, CHECKS_A_STEP = 28 };

struct model_line {
	char glob[NAME_MAX];
	size_t len;
	uint32_t set;
	uint64_t replay, leave_delay, no_echo;
	const char *users;
};

struct held {
	char name[NAME_MAX];
	size_t len;
	uint8_t class;
	bool is_held;
	uint64_t replay, leave_delay, no_echo;
	const char *users;
};

static struct model_line model[LINES];
static size_t model_count;
static struct held held[HELD];

static const char *const user_lists[] = {"a", "a,b", "backend"};

static size_t
below(size_t limit)
{
	return testing_random(&seed) % limit;
}

static size_t
random_text(char *out, const char *alphabet)
{
	size_t len = 1 + below(NAME_MAX - 1);

	for (size_t i = 0; i < len; i++)
		out[i] = alphabet[below(strlen(alphabet))];
	return len;
}

/* What the lines say of a name. */
static struct model_line
model_of(struct slice name)
{
	struct model_line values = {.replay = 0, .leave_delay = 10};

	for (size_t i = 0; i < model_count; i++) {
		const struct model_line *line = &model[i];

		if (!testing_glob((struct slice){line->glob, line->len}, name, false))
			continue;
		if ((line->set & CHANNEL_BIT(replay)) != 0)
			values.replay = line->replay;
		if ((line->set & CHANNEL_BIT(leave_delay)) != 0)
			values.leave_delay = line->leave_delay;
		if ((line->set & CHANNEL_BIT(no_echo)) != 0)
			values.no_echo = line->no_echo;
		if ((line->set & CHANNEL_BIT(publish_users)) != 0)
			values.users = line->users;
	}
	return values;
}

static bool
has_values(const struct channel_options *options, uint64_t replay, uint64_t leave_delay,
    uint64_t no_echo, const char *users)
{
	return options->replay == replay && options->leave_delay == leave_delay &&
	       options->no_echo == no_echo && options->history_size == 0 &&
	       (users == NULL ? options->publish_users == NULL
			      : options->publish_users != NULL &&
				    strcmp(options->publish_users, users) == 0);
}

/* The number of wrong answers about random names. */
static size_t
check_names(size_t count)
{
	size_t wrong = 0;

	while (count-- > 0) {
		char name[NAME_MAX];
		size_t len = random_text(name, "abc");
		struct slice slice = {name, len};
		struct model_line values = model_of(slice);

		wrong += !has_values(channel_classes_of_name(classes, slice), values.replay,
		    values.leave_delay, values.no_echo, values.users);
	}
	return wrong;
}

/* Numbers are below `values`. */
static void
change_line(size_t values)
{
	struct model_line *line;
	char glob[NAME_MAX], replay[24], delay[24];
	size_t len = random_text(glob, "abc**??[]^-"), at = 0, which = below(4), count = 0;
	struct slice words[4];
	struct channel_error error;
	uint64_t number = below(values);

	while (at < model_count &&
	       !slice_eq((struct slice){model[at].glob, model[at].len}, (struct slice){glob, len}))
		at++;
	if (at == LINES)
		return;
	line = &model[at];
	if (at == model_count) {
		*line = (struct model_line){.len = len};
		memcpy(line->glob, glob, len);
		model_count++;
	}
	snprintf(replay, sizeof(replay), "%u", (unsigned)number);
	snprintf(delay, sizeof(delay), "%u", (unsigned)(number * 7 % 100));
	if (which == 0 || which == 3) {
		words[count++] = SLICE("replay");
		words[count++] = slice_of(replay);
		line->replay = number;
		line->set |= CHANNEL_BIT(replay);
	}
	if (which == 1) {
		words[count++] = SLICE("publish-users");
		line->users = user_lists[below(3)];
		words[count++] = slice_of(line->users);
		line->set |= CHANNEL_BIT(publish_users);
	}
	if (which == 2 || which == 3) {
		words[count++] = SLICE("leave-delay");
		words[count++] = slice_of(delay);
		line->leave_delay = number * 7 % 100;
		line->set |= CHANNEL_BIT(leave_delay);
	}
	ck_assert(channel_classes_set(classes, (struct slice){glob, len}, words, count, &error));
}

static void
remove_line(void)
{
	struct channel_error error;
	size_t at;

	if (model_count == 0)
		return;
	at = below(model_count);
	ck_assert(channel_classes_unset(
	    classes, (struct slice){model[at].glob, model[at].len}, NULL, 0, &error));
	memmove(&model[at], &model[at + 1], (--model_count - at) * sizeof(*model));
}

/* Takes the class of a name, or checks a class that was taken before and gives it back. Returns the
 * number of wrong answers. */
static size_t
take_or_return(void)
{
	struct held *h = &held[below(HELD)];
	struct model_line values;

	if (h->is_held) {
		bool ok = h->class == CHANNEL_CLASS_BY_NAME ||
			  has_values(channel_classes_options(classes, h->class), h->replay,
			      h->leave_delay, h->no_echo, h->users);

		channel_classes_unref(classes, h->class);
		h->is_held = false;
		return !ok;
	}
	h->len = random_text(h->name, "abc");
	h->class = channel_classes_ref(classes, (struct slice){h->name, h->len});
	h->is_held = true;
	values = model_of((struct slice){h->name, h->len});
	h->replay = values.replay;
	h->leave_delay = values.leave_delay;
	h->no_echo = values.no_echo;
	h->users = values.users;
	/* No more than HELD classes are held, so there is always a number for one more. */
	return h->class == CHANNEL_CLASS_BY_NAME;
}

static void
run_model(size_t values)
{
	size_t wrong = 0;

	seed = 14 + values;
	model_count = 0;
	memset(held, 0, sizeof(held));
	for (int step = testing_steps(STEPS); step > 0; step--) {
		size_t what = below(10);

		if (what < 3)
			change_line(values);
		else if (what < 5)
			remove_line();
		else if (what == 5)
			channel_classes_replace(
			    classes, channel_lines_copy(channel_classes_lines(classes)));
		else
			wrong += take_or_return();
		wrong += check_names(CHECKS_A_STEP);
	}
	ck_assert_uint_eq(wrong, 0);
	for (size_t i = 0; i < HELD; i++)
		if (held[i].is_held)
			channel_classes_unref(classes, held[i].class);
	ck_assert_uint_eq(channel_classes_count(classes), 0);
}

START_TEST(a_few_values_are_those_of_a_plain_search_through_the_lines)
{
	run_model(4);
}
END_TEST

START_TEST(more_values_than_classes_are_those_of_a_plain_search_through_the_lines)
{
	run_model(3000);
}
END_TEST

int
main(void)
{
	return testing_main("pubsub/channel_classes_model", setup, teardown,
	    (const TTest *[]){a_few_values_are_those_of_a_plain_search_through_the_lines,
		more_values_than_classes_are_those_of_a_plain_search_through_the_lines, NULL});
}
