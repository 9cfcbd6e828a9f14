# A job of Sidekiq: the process "sidekiq" loads it. Run as a program it is the client: "add" adds jobs, "retry" repeats at
# once those that failed.
require 'sidekiq'
require 'sidekiq/api'

url = { url: "redis://127.0.0.1:#{ENV.fetch('PORT')}/0" }
Sidekiq.configure_client { |config| config.redis = url }
Sidekiq.configure_server do |config|
  config.redis = url
  config.options[:poll_interval_average] = 0.5
end

class Work
  include Sidekiq::Worker
  sidekiq_options retry: 2

  def perform(name)
    tries = Sidekiq.redis { |redis| redis.incr("tries:#{name}") }
    raise 'meant to fail' if name == 'fails once' && tries == 1

    Sidekiq.redis { |redis| redis.rpush('performed', name) }
  end
end

return unless $PROGRAM_NAME == __FILE__

case ARGV.first
when 'add'
  Work.perform_async('at once')
  Work.perform_in(2, 'scheduled')
  Work.perform_async('fails once')
  Sidekiq::Client.push_bulk('class' => Work, 'args' => [['one of two'], ['two of two']])
when 'retry'
  Sidekiq::RetrySet.new.retry_all
end
