<?php
// Laravel's queue, broadcaster, cache locks and limiters, over phpredis, with the server on the port given. The scenario
// is the second argument; its status tells, and "messages" publishes an event.
declare(strict_types=1);

foreach (['Broadcasting', 'Cache', 'Queue', 'Redis'] as $part) {
    require_once "Illuminate/$part/autoload.php";
}

use Illuminate\Broadcasting\Broadcasters\RedisBroadcaster;
use Illuminate\Cache\RedisStore;
use Illuminate\Container\Container;
use Illuminate\Contracts\Redis\LimiterTimeoutException;
use Illuminate\Queue\RedisQueue;
use Illuminate\Redis\RedisManager;

// A warning is a failure too. This release of Laravel is older than PHP, which calls some of it deprecated.
error_reporting(E_ALL & ~E_DEPRECATED);
set_error_handler(function (int $kind, string $text): bool {
    return error_reporting() & $kind ? throw new ErrorException($text) : true;
});

function check(bool $holds, string $what): void
{
    if (!$holds) {
        fwrite(STDERR, "not true: $what\n" . (new Exception())->getTraceAsString() . "\n");
        exit(1);
    }
}

class Jobs
{
    public static array $done = [];

    public function fire($job, $data): void
    {
        self::$done[] = [$data, $job->attempts()];
        $data === 'fails once' && $job->attempts() === 1 ? $job->release(0) : $job->delete();
    }
}

$application = new Container();
$redis = new RedisManager($application, 'phpredis', [
    'options' => ['prefix' => 'shop_'],
    'default' => ['host' => '127.0.0.1', 'port' => (int) $argv[1], 'database' => 0],
]);

// Performs jobs until none is ready.
function perform(RedisQueue $queue): array
{
    Jobs::$done = [];
    while ($job = $queue->pop()) {
        $job->fire();
    }
    return Jobs::$done;
}

function queue(RedisManager $redis, Container $application): void
{
    $queue = new RedisQueue($redis, 'default', null, 60, 1);
    $queue->setContainer($application);
    $queue->setConnectionName('redis');
    $queue->push('Jobs', 'first');
    $queue->push('Jobs', 'fails once');
    $queue->bulk(['Jobs', 'Jobs'], 'one of two');
    $due = time() + 2;
    $queue->later(2, 'Jobs', 'delayed');
    check($queue->size() === 5, 'five jobs wait');
    $done = [];
    for ($end = $due + 30; count($done) < 6 && time() < $end;) {
        $done = array_merge($done, perform($queue));
        check(time() >= $due || !in_array(['delayed', 1], $done), 'the delayed job is not performed too early');
    }
    check($done[0] === ['first', 1], 'the first job is performed first');
    sort($done);
    check($done === [['delayed', 1], ['fails once', 1], ['fails once', 2], ['first', 1], ['one of two', 1], ['one of two', 1]],
        'each job is performed once, and one again: ' . json_encode($done));
    check($queue->size() === 0, 'no job is left');
    // 150 jobs that are due at once are moved in two chunks.
    for ($i = 0; $i < 150; $i++) {
        $queue->later(0, 'Jobs', $i);
    }
    check(count(perform($queue)) === 150, 'all jobs that were due are performed');
    $queue->push('Jobs', 'forgotten');
    check($queue->clear('default') === 1 && $queue->size() === 0, 'the queue is cleared');
}

function messages(RedisManager $redis, Container $application): void
{
    $broadcaster = new RedisBroadcaster($redis, null, 'shop_');
    $broadcaster->broadcast(['orders.17', 'orders'], 'OrderPaid', ['order' => 17, 'text' => 'ключ 🎺']);
}

function locks(RedisManager $redis, Container $application): void
{
    $cache = new RedisStore($redis, 'cache:', 'default');
    check($cache->add('answer', 42, 10) && !$cache->add('answer', 43, 10), 'a value is added once');
    check($cache->increment('answer', 3) == 45, 'a number is incremented');
    check($cache->putMany(['a' => [1, 2], 'b' => 'text'], 10) && $cache->many(['a', 'b', 'c'])
        === ['a' => [1, 2], 'b' => 'text', 'c' => null], 'values come back as they were');
    $cache->tags(['people'])->put('ann', 'here', 10);
    check($cache->tags(['people'])->get('ann') === 'here', 'a value has a tag');
    $cache->tags(['people'])->flush();
    check($cache->tags(['people'])->get('ann') === null, 'values with the tag are gone');
    $lock = $cache->lock('report', 10, 'me');
    $other = $cache->lock('report', 10, 'you');
    check($lock->get() && !$other->get() && !$other->release(), 'one owner has the lock');
    check($lock->release() && $other->get() && $other->release(), 'the next owner has the lock');
    $limited = function (string $limiter, string $name) use ($redis): int {
        $ran = 0;
        for ($i = 0; $i < 3; $i++) {
            $builder = $redis->connection()->$limiter($name);
            ($limiter === 'funnel' ? $builder->limit(2)->releaseAfter(60) : $builder->allow(2)->every(60))->block(0)
                ->then(function () use (&$ran) {
                    $ran++;
                }, function (LimiterTimeoutException $error) {
                });
        }
        return $ran;
    };
    check($limited('throttle', 'letters') === 2, 'two of three pass the throttle');
    check($limited('funnel', 'printer') === 3, 'a place in the funnel is free again when its task has ended');
}

$argv[2]($redis, $application);
