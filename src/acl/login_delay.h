#ifndef ACL_LOGIN_DELAY_H
#define ACL_LOGIN_DELAY_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

/*
 * Login delay: what guessing passwords costs an address.
 *
 * The first wrong passwords of an address are free; each one after them doubles the time for which
 * the next attempt from there, right or wrong, has to wait before it is looked at. An address is
 * forgotten when it has guessed nothing for a while. Bounded: a time has a maximum, and of more
 * addresses than fit those that failed longest ago are forgotten. It reads no clock.
 */
struct login_delays;

#define LOGIN_FREE_FAILURES 3
#define LOGIN_FIRST_DELAY_US 50000
#define LOGIN_FORGET_US 60000000
#define LOGIN_ADDRESSES_MAX 4096

struct login_delays *login_delays_new(void); /* returns owned (login_delays_free) */
void login_delays_free(struct login_delays *delays);

/* In how many us an attempt from address may be looked at, at most max_us; 0: now. */
uint64_t login_delay(
    const struct login_delays *delays, struct slice address, uint64_t now_us, uint64_t max_us);

/* A wrong password came from there. */
void login_failed(
    struct login_delays *delays, struct slice address, uint64_t now_us, uint64_t max_us);

/* Now and then: forgets some of those that have guessed nothing for a while. */
void login_delays_expire(struct login_delays *delays, uint64_t now_us);

size_t login_delays_count(const struct login_delays *delays); /* addresses that are remembered */

#endif
