#include "config.h"

#include "net/proxy_header.h"

#include <check.h>
#include <string.h>

#include "base/testing.h"
#include "net/address.h"

#define V2_START "\r\n\r\n\0\r\nQUIT\n"
#define BEHIND "*1\r\n$4\r\nPING\r\n"

static struct proxy_header header;

/* Feeds the bytes in two pieces. */
static enum proxy_result
feed(struct slice bytes, size_t cut, size_t *used)
{
	enum proxy_result result;
	size_t taken;

	proxy_header_init(&header);
	result = proxy_header_feed(&header, (struct slice){bytes.ptr, cut}, used);
	if (result != PROXY_MORE)
		return result;
	ck_assert_uint_eq(*used, cut);
	result =
	    proxy_header_feed(&header, (struct slice){bytes.ptr + cut, bytes.len - cut}, &taken);
	*used += taken;
	return result;
}

static enum proxy_result
feed_bytes(struct slice bytes, size_t *used)
{
	enum proxy_result result = PROXY_MORE;
	size_t taken;

	proxy_header_init(&header);
	for (*used = 0; *used < bytes.len && result == PROXY_MORE; ++*used)
		result = proxy_header_feed(&header, (struct slice){bytes.ptr + *used, 1}, &taken);
	return result;
}

static void
assert_addresses(const char *source, const char *destination)
{
	char text[64];

	ck_assert_int_eq(header.has_addresses, source != NULL);
	if (source == NULL)
		return;
	address_format((const struct sockaddr *)&header.source, text, sizeof(text));
	ck_assert_str_eq(text, source);
	address_format((const struct sockaddr *)&header.destination, text, sizeof(text));
	ck_assert_str_eq(text, destination);
}

/* Asserts the result for every split, and that no byte behind the header is taken. The first len
 * bytes of bytes are the header. */
static void
assert_header(struct slice bytes, size_t len, const char *source, const char *destination)
{
	size_t used;

	for (size_t cut = 0; cut <= bytes.len; cut++) {
		ck_assert_int_eq(feed(bytes, cut, &used), PROXY_DONE);
		ck_assert_uint_eq(used, len);
		assert_addresses(source, destination);
	}
	ck_assert_int_eq(feed_bytes(bytes, &used), PROXY_DONE);
	ck_assert_uint_eq(used, len);
	assert_addresses(source, destination);
	for (size_t n = 0; n < len; n++)
		ck_assert_int_eq(feed((struct slice){bytes.ptr, n}, n / 2, &used), PROXY_MORE);
}

#define ASSERT_HEADER(literal, source, destination)                                                \
	assert_header(SLICE(literal BEHIND), sizeof(literal) - 1, source, destination)

static void
assert_bad(struct slice bytes, const char *error)
{
	size_t used;

	for (size_t cut = 0; cut <= bytes.len; cut++) {
		ck_assert_int_eq(feed(bytes, cut, &used), PROXY_BAD);
		ck_assert_str_eq(header.error, error);
		ck_assert(!header.has_addresses);
	}
}

#define ASSERT_BAD(literal, error) assert_bad(SLICE(literal), error)

START_TEST(version_1_says_the_addresses_in_every_split)
{
	ASSERT_HEADER("PROXY TCP4 192.0.2.1 198.51.100.2 56324 6379\r\n", "192.0.2.1:56324",
	    "198.51.100.2:6379");
	ASSERT_HEADER("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n", "[2001:db8::1]:0", "[::1]:65535");
	ASSERT_HEADER("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535",
	    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535");
}
END_TEST

START_TEST(version_1_unknown_keeps_the_addresses_of_the_connection)
{
	ASSERT_HEADER("PROXY UNKNOWN\r\n", NULL, NULL);
	/* The longest valid line, of 107 bytes. */
	ASSERT_HEADER("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
		      "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
	    NULL, NULL);
}
END_TEST

START_TEST(version_2_says_the_addresses_in_every_split)
{
	ASSERT_HEADER(V2_START "\x21\x11\0\x0c\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x18\xeb",
	    "192.0.2.1:56324", "198.51.100.2:6379");
	ASSERT_HEADER(V2_START "\x21\x21\0\x24"
			       "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
			       "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01"
			       "\0\x07\x18\xeb",
	    "[2001:db8::1]:7", "[::1]:6379");
}
END_TEST

START_TEST(version_2_passes_over_what_follows_the_addresses)
{
	ASSERT_HEADER(V2_START
	    "\x21\x11\0\x14\xc0\0\x02\x01\xc6\x33\x64\x02\xdc\x04\x18\xeb\x01\0\x05redis",
	    "192.0.2.1:56324", "198.51.100.2:6379");
}
END_TEST

START_TEST(version_2_without_addresses_keeps_those_of_the_connection)
{
	ASSERT_HEADER(V2_START "\x20\0\0\0", NULL, NULL);
	/* LOCAL: the family and the address bytes are ignored. */
	ASSERT_HEADER(V2_START "\x20\xff\0\x03"
			       "abc",
	    NULL, NULL);
	ASSERT_HEADER(V2_START "\x21\0\0\x02xy", NULL, NULL);
}
END_TEST

START_TEST(version_2_of_a_unix_socket_keeps_the_addresses_of_the_connection)
{
	char bytes[16 + 216 + sizeof(BEHIND) - 1];

	memcpy(bytes, V2_START "\x21\x31\0\xd8", 16);
	memset(bytes + 16, 'u', 216);
	memcpy(bytes + 16 + 216, BEHIND, sizeof(BEHIND) - 1);
	assert_header((struct slice){bytes, sizeof(bytes)}, 16 + 216, NULL, NULL);
}
END_TEST

START_TEST(a_long_header_of_version_2_is_taken_up_to_a_bound)
{
	static char bytes[PROXY_V2_MAX + 1];
	size_t used;

	memcpy(bytes, V2_START "\x20\0\x0f\xf0", 16);
	ck_assert_int_eq(feed((struct slice){bytes, sizeof(bytes)}, 16, &used), PROXY_DONE);
	ck_assert_uint_eq(used, PROXY_V2_MAX);
	bytes[15]++;
	assert_bad((struct slice){bytes, 16}, "PROXY header too long");
	memcpy(bytes + 12, "\x21\x11\xff\xff", 4);
	assert_bad((struct slice){bytes, 16}, "PROXY header too long");
}
END_TEST

START_TEST(what_is_no_header_is_known_by_its_first_wrong_byte)
{
	ASSERT_BAD("*", "no PROXY header");
	ASSERT_BAD("PING\r\n", "no PROXY header");
	ASSERT_BAD("PROXYA", "no PROXY header");
	ASSERT_BAD("\r\nX", "no PROXY header");
	ASSERT_BAD("\x16\x03\x01", "no PROXY header");
	ASSERT_BAD("\r\n\r\n\0\r\nQUIX", "no PROXY header");
}
END_TEST

START_TEST(a_bad_line_of_version_1_is_refused)
{
	ASSERT_BAD("PROXY \r\n", "PROXY line of no known family");
	ASSERT_BAD("PROXY TCP5 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY line of no known family");
	ASSERT_BAD("PROXY UDP4 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY line of no known family");
	ASSERT_BAD("PROXY TCP4\r\n", "PROXY line with a bad address");
	ASSERT_BAD("PROXY TCP4  1.1.1.1 1.1.1.1 1 1\r\n", "PROXY line with a bad address");
	ASSERT_BAD("PROXY TCP4 1.1.1 1.1.1.1 1 1\r\n", "PROXY line with a bad address");
	ASSERT_BAD("PROXY TCP4 ::1 ::1 1 1\r\n", "PROXY line with a bad address");
	ASSERT_BAD("PROXY TCP6 1.1.1.1 1.1.1.1 1 1\r\n", "PROXY line with a bad address");
	ASSERT_BAD("PROXY TCP4 1.1.1.1\0 1.1.1.1 1 1\r\n", "PROXY line with a bad address");
	ASSERT_BAD("PROXY TCP4 1.1.1.1 1.1.1.1 65536 1\r\n", "PROXY line with a bad port");
	ASSERT_BAD("PROXY TCP4 1.1.1.1 1.1.1.1 1 01\r\n", "PROXY line with a bad port");
	ASSERT_BAD("PROXY TCP4 1.1.1.1 1.1.1.1 1 -1\r\n", "PROXY line with a bad port");
	ASSERT_BAD("PROXY TCP4 1.1.1.1 1.1.1.1 1 1 \r\n", "PROXY line with a bad port");
	ASSERT_BAD("PROXY TCP4 1.1.1.1 1.1.1.1 1\r\n", "PROXY line with a bad port");
	ASSERT_BAD("PROXY UNKNOWN\n", "PROXY line that does not end with CRLF");
}
END_TEST

START_TEST(a_line_of_version_1_without_end_is_refused_at_107_bytes)
{
	char line[PROXY_V1_MAX];
	size_t used;

	memset(line, ' ', sizeof(line));
	memcpy(line, "PROXY ", 6);
	ck_assert_int_eq(feed((struct slice){line, sizeof(line) - 1}, 50, &used), PROXY_MORE);
	assert_bad((struct slice){line, sizeof(line)}, "PROXY line too long");
}
END_TEST

START_TEST(a_bad_header_of_version_2_is_refused)
{
	ASSERT_BAD(V2_START "\x11\x11\0\x0c", "PROXY header of an unknown version or command");
	ASSERT_BAD(V2_START "\x22\x11\0\x0c", "PROXY header of an unknown version or command");
	ASSERT_BAD(V2_START "\x21\x12\0\x0c", "PROXY header of no known family");
	ASSERT_BAD(V2_START "\x21\x41\0\x0c", "PROXY header of no known family");
	ASSERT_BAD(V2_START "\x21\x01\0\x0c", "PROXY header of no known family");
	ASSERT_BAD(V2_START "\x21\x11\0\x0b", "PROXY header too short for its addresses");
	ASSERT_BAD(V2_START "\x21\x21\0\x23", "PROXY header too short for its addresses");
	ASSERT_BAD(V2_START "\x21\x31\0\xd7", "PROXY header too short for its addresses");
}
END_TEST

int
main(void)
{
	return testing_main("net/proxy_header", NULL, NULL,
	    (const TTest *[]){version_1_says_the_addresses_in_every_split,
		version_1_unknown_keeps_the_addresses_of_the_connection,
		version_2_says_the_addresses_in_every_split,
		version_2_passes_over_what_follows_the_addresses,
		version_2_without_addresses_keeps_those_of_the_connection,
		version_2_of_a_unix_socket_keeps_the_addresses_of_the_connection,
		a_long_header_of_version_2_is_taken_up_to_a_bound,
		what_is_no_header_is_known_by_its_first_wrong_byte,
		a_bad_line_of_version_1_is_refused,
		a_line_of_version_1_without_end_is_refused_at_107_bytes,
		a_bad_header_of_version_2_is_refused, NULL});
}
