#include "config.h"

#include "base/buffer.h"
#include "rdb/testing_rdb.h"

/* A file with a key of each encoding: see testing_rdb.h. */

static void
put_old(struct buffer *file)
{
	testing_rdb_key(file, 0, "s");
	testing_rdb_string(file, "v");
	testing_rdb_key(file, 0, "n8");
	testing_rdb_byte(file, 0xc0);
	testing_rdb_bytes(file, 0xfb, 1);
	testing_rdb_key(file, 0, "n16");
	testing_rdb_byte(file, 0xc1);
	testing_rdb_bytes(file, 0xff00, 2);
	testing_rdb_key(file, 0, "n32");
	testing_rdb_byte(file, 0xc2);
	testing_rdb_bytes(file, 70000, 4);
	testing_rdb_key(file, 1, "l");
	testing_rdb_length(file, 2);
	testing_rdb_string(file, "a");
	testing_rdb_string(file, "b");
	testing_rdb_key(file, 2, "set");
	testing_rdb_length(file, 1);
	testing_rdb_string(file, "m");
	testing_rdb_key(file, 3, "z");
	testing_rdb_length(file, 3);
	testing_rdb_string(file, "one");
	testing_rdb_string(file, "1.5");
	testing_rdb_string(file, "most");
	testing_rdb_byte(file, 254);
	testing_rdb_string(file, "least");
	testing_rdb_byte(file, 255);
	testing_rdb_key(file, 4, "h");
	testing_rdb_length(file, 1);
	testing_rdb_string(file, "f");
	testing_rdb_string(file, "v");
	testing_rdb_byte(file, 0xfd);
	testing_rdb_bytes(file, 2000000000, 4);
	testing_rdb_key(file, 0, "until");
	testing_rdb_string(file, "v");
}

static void
put_zipmap(struct buffer *file)
{
	testing_rdb_key(file, 9, "hzm");
	testing_rdb_length(file, 8);
	buffer_append(file, "\001\001f\001\001v?\377", 8);
}

static void
put_packed_old(struct buffer *file)
{
	static const char *const words[] = {"f", "7"};
	static const int64_t numbers[] = {-3, 5, 70000};
	struct buffer blob = {0};

	testing_ziplist(&blob, words, 2);
	testing_rdb_key(file, 10, "lz");
	testing_rdb_blob(file, &blob);
	testing_rdb_key(file, 12, "zz");
	testing_rdb_blob(file, &blob);
	testing_rdb_key(file, 13, "hz");
	testing_rdb_blob(file, &blob);
	testing_intset(&blob, 4, numbers, 3);
	testing_rdb_key(file, 11, "si");
	testing_rdb_blob(file, &blob);
	buffer_release(&blob);
}

static void
put_quicklist(struct buffer *file)
{
	static const char *const words[] = {"q", "-1"};
	struct buffer blob = {0};

	testing_ziplist(&blob, words, 2);
	testing_rdb_key(file, 14, "ql");
	testing_rdb_length(file, 2);
	testing_rdb_blob(file, &blob);
	testing_rdb_blob(file, &blob);
	buffer_release(&blob);
}

static void
put_9(struct buffer *file)
{
	testing_rdb_byte(file, 0xf7); /* data of a module */
	testing_rdb_length(file, UINT64_C(0x1234567812345678));
	testing_rdb_length(file, 2);
	testing_rdb_length(file, 1);
	testing_rdb_length(file, 5);
	testing_rdb_string(file, "data");
	testing_rdb_length(file, 0);
	testing_rdb_byte(file, 0xf8); /* idle */
	testing_rdb_length(file, 100);
	testing_rdb_byte(file, 0xf9); /* frequency */
	testing_rdb_byte(file, 7);
	testing_rdb_byte(file, 0xfc);
	testing_rdb_bytes(file, UINT64_C(2000000000123), 8);
	testing_rdb_key(file, 5, "z2");
	testing_rdb_length(file, 1);
	testing_rdb_string(file, "m");
	testing_rdb_bytes(file, UINT64_C(0x3ff8000000000000), 8);
	testing_rdb_key(file, 7, "mod");
	testing_rdb_length(file, UINT64_C(0x1234567812345678));
	testing_rdb_length(file, 1);
	testing_rdb_length(file, 99);
	testing_rdb_length(file, 2);
	testing_rdb_length(file, 99);
	testing_rdb_length(file, 3);
	testing_rdb_bytes(file, 0, 4);
	testing_rdb_length(file, 4);
	testing_rdb_bytes(file, 0, 8);
	testing_rdb_length(file, 5);
	testing_rdb_byte(file, 0xc0); /* a string that is a number */
	testing_rdb_byte(file, 1);
	testing_rdb_length(file, 0);
}

static void
put_id(struct buffer *file, uint64_t ms, uint64_t seq)
{
	for (int i = 7; i >= 0; i--)
		testing_rdb_byte(file, ms >> (8 * i) & 0xff);
	for (int i = 7; i >= 0; i--)
		testing_rdb_byte(file, seq >> (8 * i) & 0xff);
}

/* Three entries, the second one deleted and the third with fields of its own; a group with two
 * consumers and a pending entry. */
static void
put_stream(struct buffer *file, unsigned int type, const char *name)
{
	static const char *const node[] = {"2", "1", "1", "f", "0", "2", "0", "0", "v", "4", "3",
	    "1", "0", "x", "4", "0", "5", "2", "1", "g", "w", "7"};
	struct buffer blob = {0};

	testing_listpack(&blob, node, sizeof(node) / sizeof(*node));
	testing_rdb_key(file, type, name);
	testing_rdb_length(file, 1);
	testing_rdb_length(file, 16);
	put_id(file, 100, 1);
	testing_rdb_blob(file, &blob);
	testing_rdb_length(file, 2);
	testing_rdb_length(file, 105);
	testing_rdb_length(file, 3);
	if (type >= 19) {
		testing_rdb_length(file, 100);
		testing_rdb_length(file, 1);
		testing_rdb_length(file, 101);
		testing_rdb_length(file, 1);
		testing_rdb_length(file, 3);
	}
	testing_rdb_length(file, 1);
	testing_rdb_string(file, "group");
	testing_rdb_length(file, 100);
	testing_rdb_length(file, 1);
	if (type >= 19)
		testing_rdb_length(file, 1);
	testing_rdb_length(file, 1);
	put_id(file, 100, 1);
	testing_rdb_bytes(file, 1234567, 8);
	testing_rdb_length(file, 9);
	testing_rdb_length(file, 2);
	for (int i = 0; i < 2; i++) {
		testing_rdb_string(file, i == 0 ? "c" : "d");
		testing_rdb_bytes(file, 1234567, 8);
		if (type >= 21)
			testing_rdb_bytes(file, 1234567, 8);
		testing_rdb_length(file, i == 0);
		if (i == 0)
			put_id(file, 100, 1);
	}
	buffer_release(&blob);
}

static void
put_listpacks(struct buffer *file)
{
	static const char *const words[] = {"f", "7"};
	struct buffer blob = {0};

	testing_rdb_byte(file, 0xf5);
	testing_rdb_string(file, "#!lua name=lib");
	testing_listpack(&blob, words, 2);
	testing_rdb_key(file, 16, "hl");
	testing_rdb_blob(file, &blob);
	testing_rdb_key(file, 17, "zl");
	testing_rdb_blob(file, &blob);
	testing_rdb_key(file, 18, "q2");
	testing_rdb_length(file, 2);
	testing_rdb_length(file, 1);
	testing_rdb_string(file, "plain");
	testing_rdb_length(file, 2);
	testing_rdb_blob(file, &blob);
	buffer_release(&blob);
}

static void
put_timed_hashes(struct buffer *file)
{
	static const char *const words[] = {"f", "v", "0", "g", "w", "2000000000500"};
	struct buffer blob = {0};

	testing_rdb_byte(file, 0xf4);
	testing_rdb_length(file, 1);
	testing_rdb_length(file, 1);
	testing_rdb_length(file, 0);
	testing_rdb_key(file, 24, "ht");
	testing_rdb_bytes(file, UINT64_C(2000000000000), 8);
	testing_rdb_length(file, 2);
	testing_rdb_length(file, 0);
	testing_rdb_string(file, "f");
	testing_rdb_string(file, "v");
	testing_rdb_length(file, 1);
	testing_rdb_string(file, "g");
	testing_rdb_string(file, "w");
	testing_listpack(&blob, words, 6);
	testing_rdb_key(file, 25, "htl");
	testing_rdb_bytes(file, UINT64_C(2000000000500), 8);
	testing_rdb_blob(file, &blob);
	testing_rdb_key(file, 23, "htp");
	testing_rdb_blob(file, &blob);
	testing_rdb_key(file, 22, "hto");
	testing_rdb_length(file, 1);
	testing_rdb_length(file, UINT64_C(2000000000000));
	testing_rdb_string(file, "g");
	testing_rdb_string(file, "w");
	buffer_release(&blob);
}

void
testing_rdb_sample(struct buffer *file, unsigned int version)
{
	static const char *const words[] = {"m", "7"};
	struct buffer blob = {0};

	testing_rdb_begin(file, version);
	if (version >= 7) {
		testing_rdb_byte(file, 0xfa);
		testing_rdb_string(file, "redis-ver");
		testing_rdb_string(file, "7.0.15");
	}
	testing_rdb_byte(file, 0xfe);
	testing_rdb_length(file, 0);
	if (version >= 7) {
		testing_rdb_byte(file, 0xfb);
		testing_rdb_length(file, 10);
		testing_rdb_length(file, 1);
	}
	put_old(file);
	if (version >= 2)
		put_zipmap(file);
	if (version >= 4)
		put_packed_old(file);
	if (version >= 7)
		put_quicklist(file);
	if (version >= 9) {
		put_9(file);
		put_stream(file, 15, "x1");
	}
	if (version >= 10) {
		put_listpacks(file);
		put_stream(file, 19, "x2");
	}
	if (version >= 11) {
		testing_listpack(&blob, words, 2);
		testing_rdb_key(file, 20, "sl");
		testing_rdb_blob(file, &blob);
		put_stream(file, 21, "x3");
	}
	if (version >= 12)
		put_timed_hashes(file);
	testing_rdb_byte(file, 0xfe);
	testing_rdb_length(file, 3);
	testing_rdb_key(file, 0, "other");
	testing_rdb_string(file, "v");
	testing_rdb_end(file, version);
	buffer_release(&blob);
}
