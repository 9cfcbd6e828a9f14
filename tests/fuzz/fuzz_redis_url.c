#include "config.h"

#include "base/redis_url.h"

#include <assert.h>
#include <string.h>

#include "base/alloc.h"

/*
 * URLs of servers. One that is refused changes nothing. One that is taken names a host or a socket,
 * and gives the same parts again when it is written with all of their bytes encoded.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
write_encoded(const char *text, struct buffer *out)
{
	for (; *text != '\0'; text++)
		buffer_appendf(out, "%%%02x", (unsigned int)(unsigned char)*text);
}

static void
write_url(const struct redis_url *url, struct buffer *out)
{
	buffer_append_str(out, url->socket_path != NULL ? "unix://"
			       : url->is_tls            ? "rediss://"
							: "redis://");
	if (url->user != NULL)
		write_encoded(url->user, out);
	if (url->password != NULL) {
		buffer_append_str(out, ":");
		write_encoded(url->password, out);
	}
	if (url->user != NULL || url->password != NULL)
		buffer_append_str(out, "@");
	if (url->socket_path != NULL) {
		buffer_append_str(out, "/");
		write_encoded(url->socket_path + 1, out);
	} else {
		if (url->host != NULL)
			write_encoded(url->host, out);
		buffer_appendf(out, ":%u/%u", url->port, url->database);
	}
	buffer_append(out, "", 1);
}

static bool
strings_equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void
check_again(const struct redis_url *url)
{
	struct buffer text = {0};
	struct redis_url again;
	const char *error = NULL;
	bool ok;

	write_url(url, &text);
	ok = redis_url_parse(&again, text.ptr, &error);
	assert(ok);
	assert(strings_equal(url->host, again.host));
	assert(strings_equal(url->socket_path, again.socket_path));
	assert(strings_equal(url->user, again.user));
	assert(strings_equal(url->password, again.password));
	assert(url->port == again.port && url->database == again.database);
	assert(url->is_tls == again.is_tls);
	redis_url_release(&again);
	buffer_release(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct redis_url url = {.port = 7};
	struct buffer described = {0};
	const char *error = NULL;
	char *text = xmalloc(len + 1);

	memcpy(text, data, len);
	text[len] = '\0';
	if (redis_url_parse(&url, text, &error)) {
		assert(url.port > 0 && (url.host == NULL || url.socket_path == NULL));
		redis_url_describe(&url, &described);
		assert(described.len > 0);
		check_again(&url);
		buffer_release(&described);
		redis_url_release(&url);
	} else {
		assert(error != NULL && url.port == 7 && url.host == NULL);
	}
	xfree(text);
	return 0;
}
