#include "config.h"

#include "base/alloc.h"
#include "base/buffer.h"
#include "base/clock.h"
#include "cmd/handlers.h"
#include "cmd/help.h"
#include "cmd/long_reply.h"
#include "cmd/publish_check.h"
#include "pubsub/channel_cover.h"
#include "pubsub/channel_in_effect.h"
#include "pubsub/channel_lines.h"
#include "pubsub/hub_options.h"
#include "pubsub/outbox.h"
#include "resp/writer.h"
#include "server/job.h"
#include "server/request.h"
#include "server/server_config.h"

/* CHANNEL: the lines of options that the hub has. The directive `channel` is in app. */

#define AT_ONCE_US 1000
#define LINES_A_LOOK 64

static void
refuse(struct request *rq, const struct channel_error *error)
{
	struct buffer text = {0};

	channel_error_explain(error, &text);
	request_error(rq, "ERR %.*s", (int)text.len, text.ptr);
	buffer_release(&text);
}

enum command_result
cmd_channel_set(struct request *rq)
{
	const struct slice *words = rq->argv + 3;
	size_t count = rq->argc - 3;
	struct channel_error error;

	if (channel_words_in_effect(words, count, 2, &error) &&
	    channel_line_is_covered(
		hub_channel_lines(rq->server->hub), rq->argv[2], words, count, &error) &&
	    hub_set_channel_line(rq->server->hub, rq->argv[2], words, count, &error))
		request_ok(rq);
	else
		refuse(rq, &error);
	return COMMAND_DONE;
}

enum command_result
cmd_channel_unset(struct request *rq)
{
	const struct slice *names = rq->argv + 3;
	size_t count = rq->argc - 3;
	struct channel_error error;

	if (channel_words_in_effect(names, count, 1, &error) &&
	    channel_line_stays_covered(
		hub_channel_lines(rq->server->hub), rq->argv[2], names, count, &error) &&
	    hub_unset_channel_line(rq->server->hub, rq->argv[2], names, count, &error))
		request_ok(rq);
	else
		refuse(rq, &error);
	return COMMAND_DONE;
}

/*
 * CHANNEL LIST in slices. Lines may be added and removed meanwhile; therefore all are collected
 * before the first is sent. `order` is that of the last line collected.
 */
struct list {
	uint64_t order;
	size_t count;
	int proto;
	struct long_reply lines;
	bool is_gathered;
};

static void
list_free(void *state)
{
	struct list *list = state;

	long_reply_release(&list->lines);
	xfree(list);
}

static void
put_value(const struct channel_options *values, size_t option, struct buffer *out)
{
	struct buffer value = {0};

	channel_option_write(values, option, &value);
	resp_put_bulk(out, buffer_slice(&value));
	buffer_release(&value);
}

static void
put_line(const struct channel_line *line, int proto, struct buffer *out)
{
	size_t count = 0;

	for (size_t i = 0; i < CHANNEL_OPTIONS; i++)
		count += line->set >> i & 1;
	resp_put_array(out, 2);
	resp_put_bulk(out, line->glob);
	resp_put_map(out, proto, count);
	for (size_t i = 0; i < CHANNEL_OPTIONS; i++) {
		if ((line->set >> i & 1) == 0)
			continue;
		resp_put_bulk_str(out, channel_option_at(i)->name);
		put_value(&line->values, i, out);
	}
}

/* Returns false if the time is up before all lines are collected. */
static bool
gather(struct list *list, const struct channel_lines *lines, uint64_t deadline_us)
{
	const struct channel_line *line = channel_lines_first(lines);
	size_t looked = 0;

	while (line != NULL && line->order <= list->order)
		line = channel_lines_next(line);
	for (; line != NULL; line = channel_lines_next(line)) {
		put_line(line, list->proto, long_reply_room(&list->lines));
		list->order = line->order;
		list->count++;
		if (++looked % LINES_A_LOOK == 0 && clock_mono_us() >= deadline_us)
			return false;
	}
	return true;
}

static enum job_state
list_step(void *state, struct job_step *step)
{
	struct list *list = state;

	if (!list->is_gathered) {
		if (!gather(list, hub_channel_lines(step->server->hub), step->deadline_us))
			return JOB_MORE;
		list->is_gathered = true;
		resp_put_array(step->reply, list->count);
	}
	return long_reply_send(&list->lines, step);
}

enum command_result
cmd_channel_list(struct request *rq)
{
	static const struct job_kind kind = {"channel list", list_step, list_free};
	struct job_step step = long_reply_first_step(rq, AT_ONCE_US);
	struct list *list = xcalloc(1, sizeof(*list));

	list->proto = rq->proto;
	if (list_step(list, &step) == JOB_DONE)
		list_free(list);
	else
		job_start(rq->server, rq->client, &kind, list);
	return COMMAND_DONE;
}

/* Puts the values of directives in place of the values that refer to them. */
static void
apply_directives(struct channel_options *options, const struct server_config *config)
{
	if (options->outbox_policy == CHANNEL_POLICY_GLOBAL)
		options->outbox_policy = CHANNEL_POLICY_FIRST + config->outbox.policy;
	if (options->max_subscribers == 0 || options->max_subscribers > config->hub.subscribers)
		options->max_subscribers = config->hub.subscribers;
	if (options->max_message == 0 || options->max_message > config->proto_max_bulk_bytes)
		options->max_message = config->proto_max_bulk_bytes;
}

enum command_result
cmd_channel_options(struct request *rq)
{
	struct channel_explanation explanation;
	size_t count = 0;

	if (rq->argv[2].len > rq->server->config->hub.name_bytes) {
		channel_name_error(rq);
		return COMMAND_DONE;
	}
	hub_explain_channel(rq->server->hub, rq->argv[2], &explanation);
	apply_directives(&explanation.options, rq->server->config);
	for (size_t i = 0; i < CHANNEL_OPTIONS; i++)
		count += channel_option_is_in_effect(i);
	resp_put_map(rq->reply, rq->proto, count);
	for (size_t i = 0; i < CHANNEL_OPTIONS; i++) {
		if (!channel_option_is_in_effect(i))
			continue;
		resp_put_bulk_str(rq->reply, channel_option_at(i)->name);
		resp_put_array(rq->reply, 2);
		put_value(&explanation.options, i, rq->reply);
		if (explanation.from[i] != NULL)
			resp_put_bulk(rq->reply, explanation.from[i]->glob);
		else
			resp_put_null(rq->reply, rq->proto);
	}
	return COMMAND_DONE;
}

enum command_result
cmd_channel_help(struct request *rq)
{
	return request_help_from_table(rq);
}
