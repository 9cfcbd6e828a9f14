#include "config.h"

#include "cli/cli.h"

#include <inttypes.h>

#include "base/alloc.h"
#include "cli/ask.h"
#include "cli/options.h"
#include "resp/reply.h"
#include "json/writer.h"

#define PAGE 500 /* channels whose subscribers are counted by one command */

struct channels_options {
	bool shard;
	bool json;
};

struct listing {
	const struct channels_options *options;
	struct buffer names; /* of all channels, one after the other */
	size_t *ends;        /* where each name ends in them */
	size_t count;
	size_t counted; /* channels that were printed */
	struct slice args[PAGE + 2];
};

static struct ask_command
list(struct cli *cli, struct listing *l)
{
	l->args[0] = SLICE("PUBSUB");
	l->args[1] = l->options->shard ? SLICE("SHARDCHANNELS") : SLICE("CHANNELS");
	if (cli->operand_count > 0)
		l->args[2] = slice_of(cli->operands[0]);
	return (struct ask_command){l->args, 2 + cli->operand_count};
}

static void
keep_names(struct listing *l, const struct resp_value *reply)
{
	l->ends = xcalloc(reply->count + 1, sizeof(*l->ends));
	l->count = reply->count;
	for (size_t i = 0; i < reply->count; i++) {
		buffer_append_slice(&l->names, reply->items[i].text);
		l->ends[i] = l->names.len;
	}
}

static struct ask_command
count_page(struct listing *l)
{
	size_t words = 2;

	l->args[1] = l->options->shard ? SLICE("SHARDNUMSUB") : SLICE("NUMSUB");
	for (size_t i = l->counted; i < l->count && words < PAGE + 2; i++) {
		size_t start = i > 0 ? l->ends[i - 1] : 0;

		l->args[words++] = (struct slice){l->names.ptr + start, l->ends[i] - start};
	}
	return (struct ask_command){l->args, words > 2 ? words : 0};
}

/* A channel whose last subscriber has left since the listing is not printed. */
static void
print_channel(struct cli *cli, const struct listing *l, struct slice name, int64_t subscribers)
{
	struct buffer *out = &cli->out;

	if (subscribers <= 0)
		return;
	if (l->options->json) {
		buffer_append_str(out, "{");
		json_put_member(out, "channel", name);
		buffer_appendf(out, ",\"subscribers\":%" PRId64 "}\n", subscribers);
		return;
	}
	buffer_append_slice(out, name);
	buffer_appendf(out, "\t%" PRId64 "\n", subscribers);
}

static struct ask_command
next(struct cli *cli, void *arg, const struct resp_value *reply)
{
	struct listing *l = arg;

	if (reply == NULL)
		return list(cli, l);
	if (reply->type != RESP_TYPE_ARRAY)
		return (struct ask_command){0};
	if (l->ends == NULL) {
		keep_names(l, reply);
		return count_page(l);
	}
	for (size_t i = 0; i + 1 < reply->count; i += 2)
		print_channel(cli, l, reply->items[i].text, reply->items[i + 1].number);
	l->counted += PAGE;
	return count_page(l);
}

static enum cli_status
run(struct cli *cli)
{
	struct listing l = {.options = cli->options};
	enum cli_status status = ask_pages(cli, 2, next, &l);

	buffer_release(&l.names);
	xfree(l.ends);
	return status;
}

#define AT(field) .offset = offsetof(struct channels_options, field)

static const struct option_row rows[] = {
    {"shard", 0, OPTION_FLAG, AT(shard), .text = "list the shard channels"},
    {"json", 0, OPTION_FLAG, AT(json), .text = "print each channel as one line of JSON"},
    {0},
};

const struct cli_command channels_command = {
    .name = "channels",
    .operands = "[PATTERN]",
    .summary = "list the channels that have subscribers",
    .options = rows,
    .options_bytes = sizeof(struct channels_options),
    .max_operands = 1,
    .run = run,
};
