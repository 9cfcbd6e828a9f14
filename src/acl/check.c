#include "config.h"

#include "acl/check.h"

#include <assert.h>
#include <strings.h>

#include "acl/key_spec.h"
#include "base/glob.h"
#include "pubsub/queue_name.h"

static bool
may_run(const struct acl_selector *s, const struct acl_command *row, const struct slice *argv,
    size_t argc)
{
	if (s->all_commands || row->always_allowed || acl_selector_has_command(s, row->index))
		return true;
	for (size_t i = 0; i < s->first_arg_count && argc > 1; i++) {
		const struct acl_first_arg *arg = &s->first_args[i];

		if (arg->index == row->index && arg->len == argv[1].len &&
		    strncasecmp(arg->ptr, argv[1].ptr, arg->len) == 0)
			return true;
	}
	return false;
}

static bool
may_access(const struct acl_selector *s, struct slice key, uint32_t access)
{
	if (s->all_keys)
		return true;
	for (size_t i = 0; i < s->keys.count; i++) {
		const struct acl_pattern *p = &s->keys.items[i];

		if ((p->access & access) == access &&
		    glob_match((struct slice){p->ptr, p->len}, key, false))
			return true;
	}
	return false;
}

/* 0 for a command that neither reads nor writes data of the user, such as EXISTS: then any pattern
 * that matches the key's name allows it. */
static uint32_t
access_to(uint32_t key_flags)
{
	uint32_t access = 0;

	if ((key_flags & KEYSPEC_ACCESS) != 0)
		access |= ACL_READ;
	if ((key_flags & (KEYSPEC_UPDATE | KEYSPEC_INSERT | KEYSPEC_DELETE)) != 0)
		access |= ACL_WRITE;
	return access;
}

size_t
acl_denied_key(const struct acl_selector *s, const struct acl_command *row,
    const struct slice *argv, size_t argc)
{
	struct key_range ranges[KEY_SPECS_MAX];
	size_t count, i, at;

	if (s->all_keys || row->keys == NULL)
		return 0;
	count = key_spec_ranges(row, argv, argc, ranges);
	for (i = 0; i < count; i++)
		for (at = ranges[i].first; at <= ranges[i].last; at += ranges[i].step)
			if (!may_access(s, argv[at], access_to(ranges[i].flags)))
				return at;
	return 0;
}

/* The longest name that max-channel-length can allow. A request's argument may be as long as a
 * message; a longer one is not matched against patterns, because that would take long. */
#define NAME_BYTES_MAX 65535

static bool
selector_may_receive(const struct acl_selector *s, struct slice name, bool is_pattern)
{
	if (s->all_channels)
		return true;
	if (name.len > NAME_BYTES_MAX)
		return false;
	for (size_t i = 0; i < s->channels.count; i++) {
		struct slice granted = {s->channels.items[i].ptr, s->channels.items[i].len};

		if (is_pattern ? slice_eq(granted, name) : glob_match(granted, name, false))
			return true;
	}
	return false;
}

/* An index behind the last channel, and not behind any other argument that could be one. */
static size_t
end_of_channels(const struct acl_command *row, size_t argc)
{
	if (row->channels.first == 0)
		return 0;
	return row->channels.step == 0 && row->channels.first < argc
		   ? row->channels.first + (size_t)1
		   : argc;
}

static bool
selector_allows(const struct acl_selector *s, const struct acl_channels *its, struct slice name,
    bool queue_names)
{
	if (queue_names && its->may_be_queues)
		name = queue_name_topic(name);
	return selector_may_receive(s, name,
	    its->names == ACL_NAMES_PATTERNS ||
		(its->names == ACL_NAMES_EITHER && queue_topic_kind(name) == HUB_PATTERN));
}

/* Continues at *at, up to end or until *work is used up. False: channel *at is not allowed. */
static bool
look_at_channels(const struct acl_selector *s, const struct acl_command *row,
    const struct slice *argv, size_t end, bool queue_names, size_t *at, size_t *work)
{
	size_t step = row->channels.step > 0 ? row->channels.step : 1;

	if (s->all_channels && *at < end)
		*at = end;
	for (; *at<end && * work> 0; *at += step) {
		size_t cost = (argv[*at].len + 32) * (s->channels.count + 1);

		if (!selector_allows(s, &row->channels, argv[*at], queue_names))
			return false;
		*work -= cost < *work ? cost : *work;
	}
	return true;
}

/* The verdict of one selector. *at is the denied argument or, with ACL_ALLOWED, the first one that
 * is not checked yet. */
static enum acl_verdict
check_selector(const struct acl_selector *s, const struct acl_command *row,
    const struct slice *argv, size_t argc, bool queue_names, size_t *at, size_t *work)
{
	if (*at == 0) {
		if (!may_run(s, row, argv, argc))
			return ACL_DENIED_COMMAND;
		*at = acl_denied_key(s, row, argv, argc);
		if (*at != 0)
			return ACL_DENIED_KEY;
		*at = row->channels.first > 0 ? row->channels.first : 1;
	}
	return look_at_channels(s, row, argv, end_of_channels(row, argc), queue_names, at, work)
		   ? ACL_ALLOWED
		   : ACL_DENIED_CHANNEL;
}

bool
acl_check_part(const struct acl_user *user, const struct acl_command *row, const struct slice *argv,
    size_t argc, size_t work, struct acl_look *look)
{
	for (; look->selector < user->selector_count; look->selector++) {
		enum acl_verdict verdict = check_selector(&user->selectors[look->selector], row,
		    argv, argc, look->queue_names, &look->at, &work);

		if (verdict == ACL_ALLOWED && look->at < end_of_channels(row, argc))
			return false;
		if (verdict == ACL_ALLOWED) {
			look->verdict = ACL_ALLOWED;
			return true;
		}
		if (verdict > look->verdict ||
		    (verdict == look->verdict && look->at > look->denied_at)) {
			look->verdict = verdict;
			look->denied_at = look->at;
		}
		look->at = 0;
	}
	return true;
}

enum acl_verdict
acl_check(const struct acl_user *user, const struct acl_command *row, const struct slice *argv,
    size_t argc, bool queue_names, size_t *at)
{
	struct acl_look look = ACL_LOOK_BEGINS;
	bool done;

	look.queue_names = queue_names;
	done = acl_check_part(user, row, argv, argc, SIZE_MAX, &look);
	assert(done);
	*at = look.denied_at;
	return look.verdict;
}

static bool
selector_reads_all_keys(const struct acl_selector *s)
{
	if (s->all_keys)
		return true;
	for (size_t i = 0; i < s->keys.count; i++) {
		const struct acl_pattern *p = &s->keys.items[i];

		if ((p->access & ACL_READ) != 0 && slice_is((struct slice){p->ptr, p->len}, "*"))
			return true;
	}
	return false;
}

bool
acl_reads_all_keys(const struct acl_user *user, const struct acl_command *row,
    const struct slice *argv, size_t argc)
{
	for (size_t i = 0; i < user->selector_count; i++) {
		const struct acl_selector *s = &user->selectors[i];

		if (selector_reads_all_keys(s) && may_run(s, row, argv, argc) &&
		    acl_denied_key(s, row, argv, argc) == 0)
			return true;
	}
	return false;
}

bool
acl_may_receive(const struct acl_user *user, struct slice name, bool is_pattern)
{
	for (size_t i = 0; i < user->selector_count; i++)
		if (selector_may_receive(&user->selectors[i], name, is_pattern))
			return true;
	return false;
}

static bool
receives_all(const struct acl_user *user)
{
	for (size_t i = 0; i < user->selector_count; i++)
		if (user->selectors[i].all_channels)
			return true;
	return false;
}

bool
acl_receives_as_much(const struct acl_user *before, const struct acl_user *after)
{
	if (receives_all(after))
		return true;
	if (receives_all(before))
		return false;
	for (size_t i = 0; i < before->selector_count; i++) {
		const struct acl_patterns *granted = &before->selectors[i].channels;

		for (size_t j = 0; j < granted->count; j++)
			if (!acl_may_receive(after,
				(struct slice){granted->items[j].ptr, granted->items[j].len}, true))
				return false;
	}
	return true;
}
