#include "config.h"

#include "net/proxy_header.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>

#define V2_FIXED 16
#define V2_INET 12
#define V2_INET6 36
#define V2_UNIX 216

static const char v1_start[6] = {'P', 'R', 'O', 'X', 'Y', ' '};
static const unsigned char v2_start[12] = {
    0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d, 0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

void
proxy_header_init(struct proxy_header *header)
{
	memset(header, 0, sizeof(*header));
}

static enum proxy_result
bad(struct proxy_header *header, const char *error)
{
	header->error = error;
	return PROXY_BAD;
}

/* Removes the word up to the next blank, or to the end, from *line. */
static struct slice
next_word(struct slice *line)
{
	const char *blank = line->len > 0 ? memchr(line->ptr, ' ', line->len) : NULL;
	struct slice word = {line->ptr, blank != NULL ? (size_t)(blank - line->ptr) : line->len};
	size_t used = blank != NULL ? word.len + 1 : word.len;

	*line = (struct slice){line->ptr + used, line->len - used};
	return word;
}

static void
set_address(struct sockaddr_storage *out, int family, const void *host, uint16_t port_n)
{
	struct sockaddr_in *v4 = (void *)out;
	struct sockaddr_in6 *v6 = (void *)out;

	memset(out, 0, sizeof(*out));
	if (family == AF_INET) {
		v4->sin_family = AF_INET;
		memcpy(&v4->sin_addr, host, 4);
		v4->sin_port = port_n;
	} else {
		v6->sin6_family = AF_INET6;
		memcpy(&v6->sin6_addr, host, 16);
		v6->sin6_port = port_n;
	}
}

static bool
parse_host(int family, struct slice word, unsigned char out[16])
{
	char text[INET6_ADDRSTRLEN];

	if (word.len == 0 || word.len >= sizeof(text) || memchr(word.ptr, '\0', word.len) != NULL)
		return false;
	memcpy(text, word.ptr, word.len);
	text[word.len] = '\0';
	return inet_pton(family, text, out) == 1;
}

static bool
parse_port(struct slice word, uint16_t *port_n)
{
	uint64_t port;

	if (!slice_to_u64(word, &port) || port > 65535)
		return false;
	*port_n = htons((uint16_t)port);
	return true;
}

/* Parses the line, without its CRLF. */
static enum proxy_result
parse_v1(struct proxy_header *header, struct slice line)
{
	struct slice family_word, source_word, destination_word;
	unsigned char source[16], destination[16];
	uint16_t source_port, destination_port;
	int family;

	(void)next_word(&line);
	family_word = next_word(&line);
	if (slice_is(family_word, "UNKNOWN"))
		return PROXY_DONE;
	if (!slice_is(family_word, "TCP4") && !slice_is(family_word, "TCP6"))
		return bad(header, "PROXY line of no known family");
	family = slice_is(family_word, "TCP4") ? AF_INET : AF_INET6;
	source_word = next_word(&line);
	destination_word = next_word(&line);
	if (!parse_host(family, source_word, source) ||
	    !parse_host(family, destination_word, destination))
		return bad(header, "PROXY line with a bad address");
	if (!parse_port(next_word(&line), &source_port) || !parse_port(line, &destination_port))
		return bad(header, "PROXY line with a bad port");
	set_address(&header->source, family, source, source_port);
	set_address(&header->destination, family, destination, destination_port);
	header->has_addresses = true;
	return PROXY_DONE;
}

/* Takes one byte of a line. */
static enum proxy_result
feed_v1(struct proxy_header *header, unsigned char byte)
{
	size_t at = header->len;

	if (at < sizeof(v1_start) && byte != (unsigned char)v1_start[at])
		return bad(header, "no PROXY header");
	header->head[header->len++] = byte;
	if (byte == '\n') {
		if (at == 0 || header->head[at - 1] != '\r')
			return bad(header, "PROXY line that does not end with CRLF");
		return parse_v1(header, (struct slice){(const char *)header->head, at - 1});
	}
	if (header->len == PROXY_V1_MAX)
		return bad(header, "PROXY line too long");
	return PROXY_MORE;
}

/* Called when the fixed part of the header is complete. */
static enum proxy_result
begin_v2(struct proxy_header *header)
{
	unsigned version_command = header->head[12], family = header->head[13];
	size_t rest = (size_t)header->head[14] << 8 | header->head[15], least;

	if (version_command != 0x20 && version_command != 0x21)
		return bad(header, "PROXY header of an unknown version or command");
	if (rest + V2_FIXED > PROXY_V2_MAX)
		return bad(header, "PROXY header too long");
	header->full_len = (uint32_t)rest + V2_FIXED;
	if (version_command == 0x20) /* LOCAL: the family is ignored */
		return PROXY_MORE;
	switch (family) {
	case 0x00:
		least = 0;
		break;
	case 0x11:
		least = V2_INET;
		break;
	case 0x21:
		least = V2_INET6;
		break;
	case 0x31:
		least = V2_UNIX;
		break;
	default:
		return bad(header, "PROXY header of no known family");
	}
	return rest < least ? bad(header, "PROXY header too short for its addresses") : PROXY_MORE;
}

static enum proxy_result
end_v2(struct proxy_header *header)
{
	const unsigned char *at = header->head + V2_FIXED;
	int family = header->head[13] == 0x11 ? AF_INET : AF_INET6;
	size_t host_len = family == AF_INET ? 4 : 16;
	uint16_t ports[2];

	if (header->head[12] == 0x20 || (header->head[13] != 0x11 && header->head[13] != 0x21))
		return PROXY_DONE;
	memcpy(ports, at + 2 * host_len, sizeof(ports));
	set_address(&header->source, family, at, ports[0]);
	set_address(&header->destination, family, at + host_len, ports[1]);
	header->has_addresses = true;
	return PROXY_DONE;
}

static enum proxy_result
feed_v2(struct proxy_header *header, unsigned char byte)
{
	size_t at = header->len++;
	enum proxy_result result;

	if (at < sizeof(v2_start) && byte != v2_start[at])
		return bad(header, "no PROXY header");
	if (at < V2_FIXED + V2_INET6)
		header->head[at] = byte;
	if (header->len == V2_FIXED) {
		result = begin_v2(header);
		if (result != PROXY_MORE)
			return result;
	}
	return header->len == header->full_len ? end_v2(header) : PROXY_MORE;
}

enum proxy_result
proxy_header_feed(struct proxy_header *header, struct slice bytes, size_t *taken)
{
	enum proxy_result result = PROXY_MORE;
	size_t at = 0;

	while (at < bytes.len && result == PROXY_MORE) {
		unsigned char byte = (unsigned char)bytes.ptr[at++];
		bool is_v2 = (header->len > 0 ? header->head[0] : byte) == v2_start[0];

		result = is_v2 ? feed_v2(header, byte) : feed_v1(header, byte);
	}
	*taken = at;
	return result;
}
