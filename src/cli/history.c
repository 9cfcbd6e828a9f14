#include "config.h"

#include "cli/cli.h"

#include <stdio.h>

#include "cli/ask.h"
#include "cli/options.h"
#include "resp/reply.h"
#include "json/writer.h"

#define PAGE 1000

struct history_options {
	const char *from;
	const char *to;
	uint64_t count; /* 0: unlimited */
	bool reverse;
	bool payload;
	bool json;
};

struct pages {
	const struct history_options *options;
	uint64_t printed;
	uint64_t asked; /* messages of the page that was asked for last */
	char count[24];
	struct buffer bound; /* where the next page begins */
	struct slice args[8];
};

/* A message that is not [position, payload] is a server's fault: it is shown as it came. */
static void
print_message(struct cli *cli, struct pages *p, const struct resp_value *message)
{
	struct buffer *out = &cli->out;
	struct slice position = message->items[0].text, payload = message->items[1].text;

	if (p->options->json) {
		buffer_append_str(out, "{");
		json_put_member(out, "position", position);
		buffer_append_str(out, ",");
		json_put_member(out, "payload", payload);
		buffer_append_str(out, "}\n");
		return;
	}
	if (!p->options->payload) {
		buffer_append_slice(out, position);
		buffer_append(out, "\t", 1);
	}
	buffer_append_slice(out, payload);
	buffer_append(out, "\n", 1);
}

static bool
is_message(const struct resp_value *value)
{
	return value->type == RESP_TYPE_ARRAY && value->count == 2 &&
	       value->items[0].type == RESP_TYPE_BULK && value->items[1].type == RESP_TYPE_BULK;
}

/* HISTORY RANGE channel from to COUNT n [REV] */
static struct ask_command
page(struct cli *cli, struct pages *p)
{
	const struct history_options *o = p->options;
	struct slice from = slice_of(o->from), to = slice_of(o->to);

	p->asked = o->count > 0 && o->count - p->printed < PAGE ? o->count - p->printed : PAGE;
	snprintf(p->count, sizeof(p->count), "%llu", (unsigned long long)p->asked);
	if (p->bound.len > 0 && o->reverse)
		to = buffer_slice(&p->bound);
	else if (p->bound.len > 0)
		from = buffer_slice(&p->bound);
	p->args[0] = SLICE("HISTORY");
	p->args[1] = SLICE("RANGE");
	p->args[2] = slice_of(cli->operands[0]);
	p->args[3] = from;
	p->args[4] = to;
	p->args[5] = SLICE("COUNT");
	p->args[6] = slice_of(p->count);
	p->args[7] = SLICE("REV");
	return (struct ask_command){p->args, o->reverse ? 8 : 7};
}

static struct ask_command
next(struct cli *cli, void *arg, const struct resp_value *reply)
{
	struct pages *p = arg;

	if (reply == NULL)
		return page(cli, p);
	if (reply->type != RESP_TYPE_ARRAY)
		return (struct ask_command){0};
	for (size_t i = 0; i < reply->count; i++) {
		if (!is_message(&reply->items[i]))
			continue;
		print_message(cli, p, &reply->items[i]);
		p->printed++;
	}
	if (reply->count < p->asked || p->printed == p->options->count ||
	    !is_message(&reply->items[reply->count - 1]))
		return (struct ask_command){0};
	buffer_clear(&p->bound);
	buffer_append_str(&p->bound, "(");
	buffer_append_slice(&p->bound, reply->items[reply->count - 1].items[0].text);
	return page(cli, p);
}

static enum cli_status
run(struct cli *cli)
{
	struct pages p = {.options = cli->options};
	enum cli_status status = ask_pages(cli, 2, next, &p);

	buffer_release(&p.bound);
	return status;
}

#define AT(field) .offset = offsetof(struct history_options, field)

static const struct option_row rows[] = {
    {"from", 0, OPTION_TEXT, "POSITION", AT(from),
	.text = "the first position, or (POSITION for what is behind it (the oldest)"},
    {"to", 0, OPTION_TEXT, "POSITION", AT(to), .text = "the last position (the newest)"},
    {"count", 'n', OPTION_NUMBER, "N", AT(count), .min = 1, .max = INT64_MAX,
	.text = "print at most N messages"},
    {"reverse", 'r', OPTION_FLAG, AT(reverse), .text = "the newest message first"},
    {"payload", 0, OPTION_FLAG, AT(payload), .text = "print the messages without positions"},
    {"json", 0, OPTION_FLAG, AT(json), .text = "print each message as one line of JSON"},
    {0},
};

const struct cli_command history_command = {
    .name = "history",
    .operands = "CHANNEL",
    .summary = "print the messages that a channel keeps",
    .options = rows,
    .defaults = &(const struct history_options){.from = "-", .to = "+"},
    .options_bytes = sizeof(struct history_options),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
