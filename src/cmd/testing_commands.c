#include "config.h"

#include "cmd/testing_commands.h"

#include "cmd/testing_server.h"
#include "resp/parser.h"
#include "server/journal.h"

bool
testing_note_commands(void *arg, struct slice commands)
{
	static const struct protocol_limits limits = {
	    .arg_bytes = 1 << 20, .arg_count = 1024, .line_bytes = 1024, .request_bytes = 1 << 20};
	struct resp_parser *parser = resp_parser_new(&limits);
	struct protocol_request request;
	struct buffer *text = arg;
	size_t used;

	while (commands.len > 0 && resp_parser_feed(parser, commands.ptr, commands.len, false,
				       &used, &request) == PROTOCOL_REQUEST) {
		for (size_t i = 0; i < request.count; i++) {
			if (i > 0)
				buffer_append_str(text, " ");
			buffer_append_slice(text, request.args[i]);
		}
		buffer_append_str(text, ";");
		commands = (struct slice){commands.ptr + used, commands.len - used};
	}
	resp_parser_free(parser);
	return true;
}

const char *
testing_collected(struct buffer *text)
{
	struct buffer batch = {0};
	uint64_t number;

	buffer_clear(text);
	if (server_journal_take(test_server, &batch, &number))
		testing_note_commands(text, buffer_slice(&batch));
	buffer_release(&batch);
	buffer_append(text, "", 1);
	text->len--;
	return text->ptr;
}
