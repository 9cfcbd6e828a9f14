#include "config.h"

#include "http/ws_handshake.h"

#include <openssl/sha.h>
#include <string.h>

#include "http/headers.h"
#include "http/request.h"
#include "http/ws_offer.h"
#include "json/writer.h"

#define GUID "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

enum { KEY_LEN = 24 }; /* 16 bytes in base64 */

static const struct {
	unsigned status;
	struct slice headers;
	const char *text;
} faults[] = {
    [WS_HANDSHAKE_OK] = {101, {"", 0}, ""},
    [WS_HANDSHAKE_METHOD] = {405, {"Allow: GET\r\n", 12}, "a WebSocket begins with GET"},
    [WS_HANDSHAKE_PLAIN] = {426, {"Upgrade: websocket\r\n", 20},
	"this address speaks WebSocket: the request must have Upgrade: websocket and "
	"Connection: Upgrade, in HTTP/1.1"},
    [WS_HANDSHAKE_VERSION] = {426, {"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", 47},
	"unsupported Sec-WebSocket-Version; 13 is supported"},
    [WS_HANDSHAKE_KEY] = {400, {"", 0},
	"invalid Sec-WebSocket-Key; 16 bytes in base64 are required"},
};

static bool
is_base64(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
	       c == '+' || c == '/';
}

static bool
is_key(struct slice s)
{
	if (s.len != KEY_LEN || s.ptr[KEY_LEN - 1] != '=' || s.ptr[KEY_LEN - 2] != '=')
		return false;
	for (size_t i = 0; i < KEY_LEN - 2; i++)
		if (!is_base64(s.ptr[i]))
			return false;
	return true;
}

/* Takes the next element of the lists in all fields with this name. *at begins with 0, *list
 * empty. */
static bool
next_element(const struct slice *args, size_t count, const char *name, size_t *at,
    struct slice *list, struct slice *element)
{
	while (!http_next_element(list, element)) {
		size_t i = *at == 0 ? HTTP_FIELDS : *at;

		while (i + 1 < count && !slice_is_nocase(args[i], name))
			i += 2;
		if (i + 1 >= count)
			return false;
		*list = args[i + 1];
		*at = i + 2;
	}
	return true;
}

static void
choose_subprotocol(
    const struct slice *args, size_t count, const char *subprotocol, struct ws_handshake *result)
{
	struct slice list = {"", 0}, element;
	size_t at = 0;

	while (next_element(args, count, "Sec-WebSocket-Protocol", &at, &list, &element))
		if (slice_is(element, subprotocol))
			result->subprotocol = element;
}

static void
choose_offer(const struct slice *args, size_t count, struct ws_handshake *result)
{
	struct slice list = {"", 0}, element;
	size_t at = 0;

	while (!result->deflates &&
	       next_element(args, count, "Sec-WebSocket-Extensions", &at, &list, &element))
		result->deflates = ws_offer_accept(element, &result->names_window);
}

enum ws_handshake_fault
ws_handshake_judge(const struct slice *args, size_t count, bool may_deflate,
    const char *subprotocol, struct ws_handshake *result)
{
	struct slice version;

	*result = (struct ws_handshake){.subprotocol = SLICE("")};
	if (!slice_is(args[HTTP_METHOD], "GET"))
		return WS_HANDSHAKE_METHOD;
	if (slice_is(args[HTTP_VERSION], "1.0") ||
	    !http_header_has(args, count, "Upgrade", "websocket") ||
	    !http_header_has(args, count, "Connection", "upgrade"))
		return WS_HANDSHAKE_PLAIN;
	if (http_header(args, count, "Sec-WebSocket-Version", &version) != 1 ||
	    !slice_is(version, "13"))
		return WS_HANDSHAKE_VERSION;
	if (http_header(args, count, "Sec-WebSocket-Key", &result->key) != 1 ||
	    !is_key(result->key))
		return WS_HANDSHAKE_KEY;
	if (subprotocol != NULL)
		choose_subprotocol(args, count, subprotocol, result);
	if (may_deflate)
		choose_offer(args, count, result);
	return WS_HANDSHAKE_OK;
}

/* Section 4.2.2, number 5, 4. */
static void
put_accept(struct buffer *out, struct slice key)
{
	unsigned char text[KEY_LEN + sizeof(GUID) - 1], digest[SHA_DIGEST_LENGTH];
	struct buffer quoted = {0};

	memcpy(text, key.ptr, KEY_LEN);
	memcpy(text + KEY_LEN, GUID, sizeof(GUID) - 1);
	SHA1(text, sizeof(text), digest);
	json_put_base64(&quoted, (struct slice){(const char *)digest, sizeof(digest)});
	buffer_append_str(out, "Sec-WebSocket-Accept: ");
	buffer_append(out, quoted.ptr + 1, quoted.len - 2);
	buffer_append_str(out, "\r\n");
	buffer_release(&quoted);
}

void
ws_handshake_put(struct buffer *out, const struct ws_handshake *handshake)
{
	buffer_append_str(out, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
			       "Connection: Upgrade\r\n");
	put_accept(out, handshake->key);
	if (handshake->subprotocol.len > 0) {
		buffer_append_str(out, "Sec-WebSocket-Protocol: ");
		buffer_append_slice(out, handshake->subprotocol);
		buffer_append_str(out, "\r\n");
	}
	if (handshake->deflates) {
		buffer_append_str(out, "Sec-WebSocket-Extensions: permessage-deflate; "
				       "server_no_context_takeover; client_no_context_takeover");
		if (handshake->names_window)
			buffer_append_str(out, "; server_max_window_bits=15");
		buffer_append_str(out, "\r\n");
	}
	buffer_append_str(out, "\r\n");
}

unsigned
ws_handshake_status(enum ws_handshake_fault fault)
{
	return faults[fault].status;
}

struct slice
ws_handshake_headers(enum ws_handshake_fault fault)
{
	return faults[fault].headers;
}

const char *
ws_handshake_text(enum ws_handshake_fault fault)
{
	return faults[fault].text;
}
