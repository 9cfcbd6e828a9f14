#include "config.h"

#include "http/ws_handshake.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "http/syntax.h"

/* The lines of the input are header fields, "name: value", of a request for a WebSocket. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

enum { ARGS_MAX = 64 };

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice args[ARGS_MAX] = {SLICE("GET"), SLICE("/ws"), SLICE("1.1"), SLICE("")};
	struct slice rest = {(const char *)data, len};
	struct ws_handshake handshake;
	struct buffer out = {0};
	size_t count = 4;

	while (rest.len > 0 && count + 2 <= ARGS_MAX) {
		struct slice value = http_take_until(&rest, '\n');

		args[count++] = http_take_until(&value, ':');
		args[count++] = http_trim(value);
		if (!http_is_field_value(args[count - 1]))
			return 0;
	}
	if (ws_handshake_judge(args, count, true, "centrifuge-json", &handshake) ==
	    WS_HANDSHAKE_OK) {
		ws_handshake_put(&out, &handshake);
		assert(out.len > 4 && memcmp(out.ptr + out.len - 4, "\r\n\r\n", 4) == 0);
		assert(memchr(out.ptr, '\0', out.len) == NULL);
	}
	buffer_release(&out);
	return 0;
}
