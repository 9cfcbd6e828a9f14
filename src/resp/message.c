#include "config.h"

#include "resp/message.h"

#include <string.h>

#include "resp/writer.h"

static char
type_of(int proto)
{
	return proto >= 3 ? '>' : '*';
}

size_t
resp_message_head_len(
    int proto, struct slice kind, const struct slice *parts, size_t count, size_t payload_len)
{
	size_t len = resp_bulk_len(kind.len);
	size_t items = count + 2;
	size_t i;

	(void)proto; /* RESP2 and RESP3 differ only in the first byte */
	for (; items >= 10; items /= 10)
		len++;
	len += sizeof("*1\r\n") - 1;
	for (i = 0; i < count; i++)
		len += resp_bulk_len(parts[i].len);
	return len + resp_bulk_len(payload_len) - payload_len - (sizeof(RESP_MESSAGE_TAIL) - 1);
}

char *
resp_message_head_write(int proto, struct slice kind, const struct slice *parts, size_t count,
    size_t payload_len, char *out)
{
	size_t i;

	out = resp_write_header(out, type_of(proto), count + 2);
	out = resp_write_bulk(out, kind);
	for (i = 0; i < count; i++)
		out = resp_write_bulk(out, parts[i]);
	return resp_write_header(out, '$', payload_len);
}

size_t
resp_lagged_write(int proto, int64_t missed, char *out)
{
	static const char unknown[] = ":-1\r\n";
	char *end = resp_write_header(out, type_of(proto), 2);

	end = resp_write_bulk(end, SLICE("lagged"));
	if (missed >= 0)
		return (size_t)(resp_write_header(end, ':', (size_t)missed) - out);
	memcpy(end, unknown, sizeof(unknown) - 1);
	return (size_t)(end - out) + sizeof(unknown) - 1;
}
