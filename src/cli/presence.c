#include "config.h"

#include "cli/cli.h"

#include <inttypes.h>

#include "cli/ask.h"
#include "cli/options.h"
#include "resp/reply.h"
#include "json/writer.h"

struct presence_options {
	bool json;
};

struct pages {
	const struct presence_options *options;
	struct buffer cursor;
	struct slice args[7];
};

static void
print_member(struct cli *cli, const struct pages *p, struct slice member, struct slice info,
    int64_t connections)
{
	struct buffer *out = &cli->out;

	if (p->options->json) {
		buffer_append_str(out, "{");
		json_put_member(out, "member", member);
		buffer_append_str(out, ",");
		json_put_member(out, "info", info);
		buffer_appendf(out, ",\"connections\":%" PRId64 "}\n", connections);
		return;
	}
	buffer_append_slice(out, member);
	buffer_appendf(out, "\t%" PRId64 "\t", connections);
	buffer_append_slice(out, info);
	buffer_append(out, "\n", 1);
}

static struct ask_command
page(struct cli *cli, struct pages *p)
{
	p->args[0] = SLICE("PRESENCE");
	p->args[1] = SLICE("MEMBERS");
	p->args[2] = slice_of(cli->operands[0]);
	p->args[3] = SLICE("CURSOR");
	p->args[4] = buffer_slice(&p->cursor);
	p->args[5] = SLICE("COUNT");
	p->args[6] = SLICE("1000");
	return (struct ask_command){p->args, 7};
}

/* The reply: [cursor, [member, info, connections, ...]]. */
static struct ask_command
next(struct cli *cli, void *arg, const struct resp_value *reply)
{
	struct pages *p = arg;
	const struct resp_value *list;

	if (reply == NULL)
		return page(cli, p);
	if (reply->type != RESP_TYPE_ARRAY || reply->count != 2 ||
	    reply->items[1].type != RESP_TYPE_ARRAY)
		return (struct ask_command){0};
	list = &reply->items[1];
	for (size_t i = 0; i + 2 < list->count; i += 3)
		print_member(cli, p, list->items[i].text, list->items[i + 1].text,
		    list->items[i + 2].number);
	if (reply->items[0].text.len == 0 || slice_is(reply->items[0].text, "0"))
		return (struct ask_command){0};
	buffer_clear(&p->cursor);
	buffer_append_slice(&p->cursor, reply->items[0].text);
	return page(cli, p);
}

static enum cli_status
run(struct cli *cli)
{
	struct pages p = {.options = cli->options};
	enum cli_status status;

	buffer_append_str(&p.cursor, "0");
	status = ask_pages(cli, 2, next, &p);
	buffer_release(&p.cursor);
	return status;
}

static const struct option_row rows[] = {
    {"json", 0, OPTION_FLAG, .offset = offsetof(struct presence_options, json),
	.text = "print each member as one line of JSON"},
    {0},
};

const struct cli_command presence_command = {
    .name = "presence",
    .operands = "CHANNEL",
    .summary = "print the members that are present in a channel",
    .options = rows,
    .options_bytes = sizeof(struct presence_options),
    .min_operands = 1,
    .max_operands = 1,
    .run = run,
};
