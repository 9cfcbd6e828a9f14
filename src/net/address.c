#include "config.h"

#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

static const unsigned char mapped_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

/* The address as 16 bytes of IPv6, IPv4 as IPv4-mapped. False for other families. */
static bool
wide_bytes(const struct sockaddr *address, unsigned char out[16])
{
	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)address;

		memcpy(out, mapped_prefix, sizeof(mapped_prefix));
		memcpy(out + sizeof(mapped_prefix), &v4->sin_addr, 4);
		return true;
	}
	if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)address;

		memcpy(out, &v6->sin6_addr, 16);
		return true;
	}
	return false;
}

static bool
is_mapped(const unsigned char wide[16])
{
	return memcmp(wide, mapped_prefix, sizeof(mapped_prefix)) == 0;
}

struct address_key
address_key(const struct sockaddr *address)
{
	struct address_key key = {.len = 0};
	unsigned char wide[16];

	if (!wide_bytes(address, wide))
		return key;
	key.len = is_mapped(wide) ? 4 : 8;
	memcpy(key.bytes, is_mapped(wide) ? wide + 12 : wide, key.len);
	return key;
}

void
address_format(const struct sockaddr *address, char *out, size_t out_len)
{
	char host[INET6_ADDRSTRLEN] = "?";

	if (address->sa_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)address;

		(void)inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(out, out_len, "%s:%d", host, ntohs(v4->sin_port));
	} else if (address->sa_family == AF_INET6) {
		const struct sockaddr_in6 *v6 = (const void *)address;

		(void)inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(out, out_len, "[%s]:%d", host, ntohs(v6->sin6_port));
	} else {
		snprintf(out, out_len, "?:0");
	}
}

bool
address_is_loopback(const struct sockaddr *address)
{
	static const unsigned char one[16] = {[15] = 1};
	unsigned char wide[16];

	if (!wide_bytes(address, wide))
		return false;
	return is_mapped(wide) ? wide[12] == 127 : memcmp(wide, one, sizeof(one)) == 0;
}

bool
address_network_parse(struct slice text, struct address_network *network)
{
	const char *slash = text.len > 0 ? memchr(text.ptr, '/', text.len) : NULL;
	struct slice host = text, bits_text;
	char name[INET6_ADDRSTRLEN];
	uint64_t bits = 0, bits_max = 128;
	struct address_network made = {.bits = 128};

	if (slash != NULL)
		host.len = (size_t)(slash - text.ptr);
	if (host.len == 0 || host.len >= sizeof(name) || memchr(host.ptr, '\0', host.len) != NULL)
		return false;
	memcpy(name, host.ptr, host.len);
	name[host.len] = '\0';
	if (inet_pton(AF_INET, name, made.bytes + 12) == 1) {
		memcpy(made.bytes, mapped_prefix, sizeof(mapped_prefix));
		bits_max = 32;
	} else if (inet_pton(AF_INET6, name, made.bytes) != 1) {
		return false;
	}
	if (slash != NULL) {
		bits_text = (struct slice){slash + 1, text.len - host.len - 1};
		if (!slice_to_u64(bits_text, &bits) || bits > bits_max)
			return false;
		made.bits = (uint8_t)(128 - bits_max + bits);
	}
	*network = made;
	return true;
}

static bool
has_wide(const struct address_network *network, const unsigned char wide[16])
{
	size_t whole = network->bits / 8;
	unsigned rest = network->bits % 8;

	if (memcmp(wide, network->bytes, whole) != 0)
		return false;
	return rest == 0 || ((wide[whole] ^ network->bytes[whole]) >> (8 - rest)) == 0;
}

bool
address_network_has(const struct address_network *network, const struct sockaddr *address)
{
	unsigned char wide[16];

	return wide_bytes(address, wide) && has_wide(network, wide);
}

/* The address without its port, and without the brackets of IPv6. */
static struct slice
without_port(struct slice text)
{
	const char *colon, *bracket;
	size_t len;

	if (text.len == 0)
		return text;
	if (text.ptr[0] == '[') {
		bracket = memchr(text.ptr, ']', text.len);
		len = bracket != NULL ? (size_t)(bracket - text.ptr) - 1 : 0;
		return (struct slice){text.ptr + 1, len};
	}
	colon = memchr(text.ptr, ':', text.len);
	if (colon != NULL &&
	    memchr(colon + 1, ':', text.len - (size_t)(colon + 1 - text.ptr)) == NULL)
		text.len = (size_t)(colon - text.ptr);
	return text;
}

bool
address_network_has_text(const struct address_network *network, struct slice text)
{
	struct address_network address;

	return address_network_parse(without_port(text), &address) && address.bits == 128 &&
	       has_wide(network, address.bytes);
}

/* What follows the host: nothing, or a colon and a number. */
static bool
parse_port(struct slice rest, in_port_t *port)
{
	uint64_t number = 0;

	if (rest.len > 0 &&
	    (rest.ptr[0] != ':' ||
		!slice_to_u64((struct slice){rest.ptr + 1, rest.len - 1}, &number) ||
		number > UINT16_MAX))
		return false;
	*port = htons((uint16_t)number);
	return true;
}

bool
address_parse(struct slice text, struct sockaddr_storage *address)
{
	struct slice host = without_port(text);
	struct address_network parsed;
	in_port_t port;
	size_t used;

	if (host.len == 0 || memchr(host.ptr, '/', host.len) != NULL ||
	    !address_network_parse(host, &parsed))
		return false;
	used = (size_t)(host.ptr - text.ptr) + host.len;
	if (text.ptr[0] == '[')
		used++; /* the closing bracket */
	if (!parse_port((struct slice){text.ptr + used, text.len - used}, &port))
		return false;
	memset(address, 0, sizeof(*address));
	if (is_mapped(parsed.bytes)) {
		struct sockaddr_in *v4 = (void *)address;

		v4->sin_family = AF_INET;
		v4->sin_port = port;
		memcpy(&v4->sin_addr, parsed.bytes + sizeof(mapped_prefix), 4);
	} else {
		struct sockaddr_in6 *v6 = (void *)address;

		v6->sin6_family = AF_INET6;
		v6->sin6_port = port;
		memcpy(&v6->sin6_addr, parsed.bytes, 16);
	}
	return true;
}
