#include "config.h"

#include "link/engine_call.h"

#include <string.h>

#include "resp/reply.h"
#include "resp/writer.h"

void
engine_put_text(struct buffer *out, const char *text)
{
	resp_put_array(out, 3);
	resp_put_bulk_str(out, "SCRIPT");
	resp_put_bulk_str(out, "LOAD");
	resp_put_bulk_str(out, text);
}

const char *
engine_take_sha(const struct resp_value *value, char sha[ENGINE_SHA_LEN + 1])
{
	if (value->type != RESP_TYPE_BULK || value->text.len != ENGINE_SHA_LEN)
		return "the upstream's reply to SCRIPT LOAD is no SHA-1";
	memcpy(sha, value->text.ptr, ENGINE_SHA_LEN);
	sha[ENGINE_SHA_LEN] = '\0';
	return NULL;
}

void
engine_put_call(struct buffer *out, const char *sha, size_t keys, size_t arguments)
{
	resp_put_array(out, 3 + keys + arguments);
	resp_put_bulk_str(out, "EVALSHA");
	resp_put_bulk_str(out, sha);
	resp_put_bulk_uint(out, keys);
	resp_put_bulk_str(out, "fanfare:engine");
	resp_put_bulk_str(out, "fanfare:channels");
}
