#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Byte slices: a borrowed pointer and a length. The bytes may have any value, NUL included; no
 * function reads past `len`.
 */
struct slice {
	const char *ptr;
	size_t len;
};

#define SLICE(literal) ((struct slice){(literal), sizeof(literal) - 1})

struct slice slice_of(const char *str); /* borrows str */

bool slice_eq(struct slice a, struct slice b);
bool slice_is(struct slice a, const char *str);
bool slice_is_nocase(struct slice a, const char *str); /* ASCII case only */

/* As slice_eq, in a time that depends on the length of `given` only: for passwords. */
bool slice_eq_secret(struct slice secret, struct slice given);

bool slice_begins_with(struct slice s, const char *prefix);

int slice_compare(struct slice a, struct slice b); /* as memcmp; a prefix sorts first */

/*
 * The whole slice as a decimal integer, as strictly as Redis's string2ll: an optional '-', no
 * '+', no space, no leading zero, no empty string, no overflow. False leaves *out alone.
 */
bool slice_to_i64(struct slice s, int64_t *out) __attribute__((warn_unused_result));
bool slice_to_u64(struct slice s, uint64_t *out) __attribute__((warn_unused_result));

#define BYTES_U64_MAX 20 /* room for bytes_from_u64 */
#define BYTES_I64_MAX 21 /* room for bytes_from_i64 */

/* Writes v in decimal, without a NUL, and returns the length, which bytes_u64_len() tells before.
 */
size_t bytes_u64_len(uint64_t v);
size_t bytes_from_u64(char *out, uint64_t v);

/* Writes v in decimal, without a NUL, and returns the length. out has BYTES_I64_MAX bytes. */
size_t bytes_from_i64(char *out, int64_t v);

#endif
