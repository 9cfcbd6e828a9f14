'use strict';

/*
 * Who may do what. A middleware is a function (request, next): it answers by throwing, or passes the request on with next().
 * request is { user, action, channel }; action is subscribe, psubscribe, unsubscribe, punsubscribe or publish.
 *
 * public.*         everybody reads; the user "admin" publishes
 * room.*           everybody reads and publishes
 * user.NAME.*      the user NAME reads and publishes
 *
 * A name is part of globs, so it has none of their special characters.
 */
const NAME = /^[\w-]{1,64}$/;

function isName(user) {
  return typeof user === 'string' && NAME.test(user);
}

function authorise(request, next) {
  const { user, action, channel } = request;
  const [realm, owner] = channel.split('.');
  if (!isName(user)) throw new Error('the name of the user is not allowed');
  if (action.endsWith('unsubscribe')) return next();
  /* A glob may match channels of others, so it is compared as text. */
  if (action === 'psubscribe') {
    if (channel === 'public.*' || channel === 'room.*' || channel === `user.${user}.*`) return next();
  } else if (realm === 'room' || (realm === 'user' && owner === user)) {
    return next();
  } else if (realm === 'public' && (action === 'subscribe' || user === 'admin')) {
    return next();
  }
  throw new Error(`${user} may not ${action} ${channel}`);
}

module.exports = { authorise, isName };
