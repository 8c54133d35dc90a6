# Rails: ActiveRecord's connections and the plain SQL of activerecord-session_store's SqlBypass, in
# threads as Puma has them. Data are not decoded, as in the other programs.
#
# SqlBypass writes no times, so here its INSERT and UPDATE have them: Rails' table demands them.

require "active_record"
require "digest"
require "json"
require "uri"

MASK = (1 << 64) - 1
TEXT = "x".freeze

# The rows of bench-kit.
def mixed(n)
  x = (n + 0x9E3779B97F4A7C15) & MASK
  x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
  x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
  x ^ (x >> 31)
end

def id(n) = format("%016x%016x", mixed(2 * n), mixed(2 * n + 1))
def other_id(seed, n) = format("%016x%016x", mixed(seed), mixed(seed ^ mixed(n)))
def private_id(id) = "2::#{Digest::SHA256.hexdigest(id)}"

class Rival
  def initialize(arguments)
    @payload = Integer(arguments.fetch("payload"))
    ActiveRecord::Base.establish_connection(settings(arguments))
    @quoted = with { |connection| connection.quote_table_name("sessions") }
  end

  def find(id)
    rows = with do |connection|
      connection.select_rows("SELECT data FROM #{@quoted} WHERE session_id=#{connection.quote(private_id(id))}")
    end
    rows.length == 1 && rows[0][0].bytesize == @payload or raise "no row"
  end

  def save(id, n)
    one(with do |connection|
      connection.update("UPDATE #{@quoted} SET data=#{connection.quote(data(n))}, " \
        "updated_at=#{now(connection)} WHERE session_id=#{connection.quote(private_id(id))}")
    end)
  end

  def insert(id, n)
    one(with do |connection|
      time = now(connection)
      connection.update("INSERT INTO #{@quoted} (session_id, data, created_at, updated_at) VALUES " \
        "(#{connection.quote(private_id(id))}, #{connection.quote(data(n))}, #{time}, #{time})")
    end)
  end

  def destroy(id)
    one(with do |connection|
      connection.delete("DELETE FROM #{@quoted} WHERE session_id=#{connection.quote(private_id(id))}")
    end)
  end

  private

  def with(&) = ActiveRecord::Base.connection_pool.with_connection(&)
  def one(rows) = rows == 1 || raise("#{rows} rows")
  def now(connection) = connection.quote(connection.quoted_date(Time.now.utc))

  def data(n)
    text = %({"value":{"n":#{n},"t":")
    text + TEXT * (@payload - text.bytesize - 3) + %("}})
  end

  def settings(arguments)
    common = { pool: Integer(arguments.fetch("connections")), checkout_timeout: 60 }
    url = arguments.fetch("url")
    return sqlite(url, common) if arguments["database"] == "sqlite"

    parts = url.match(%r{\A\w+://(.*?):(.*?)@(.*?)(?::(\d+))?/(.*?)(?:\?socket=(.*))?\z})
    user, password, host, port, database, socket =
      parts.captures.map { |part| part && URI.decode_www_form_component(part) }
    adapter = arguments["database"] == "postgres" ? "postgresql" : "mysql2"
    common.merge(adapter:, username: user, password:, host:, port: port&.to_i, database:, socket:).compact
  end

  def sqlite(path, common)
    require "active_record/connection_adapters/sqlite3_adapter"
    ActiveRecord::ConnectionAdapters::SQLite3Adapter.prepend(Module.new do
      def configure_connection
        super
        execute("PRAGMA journal_mode = WAL")
        execute("PRAGMA synchronous = FULL")
      end
    end)
    common.merge(adapter: "sqlite3", database: path, timeout: 5000)
  end
end

# The clock of bench-kit.
class Measure
  def initialize(arguments)
    @rival = Rival.new(arguments)
    @operation = arguments.fetch("operation")
    @tasks = Integer(arguments.fetch("concurrency"))
    @rows = Integer(arguments.fetch("rows"))
    @seed = Process.clock_gettime(Process::CLOCK_REALTIME, :nanosecond)
    @next = -1
    @lock = Mutex.new
  end

  def run(warm_up, seconds)
    together(@operation == "insert" ? warm_up / 3 : warm_up)
    begun = clock
    times = together(seconds).sort!
    taken = (clock - begun) / 1e6
    0.upto(@next) { |n| @rival.destroy(other_id(@seed, n)) } if @operation == "insert"
    at = ->(part) { times[(times.length * part).to_i] || 0 }
    { ops_per_second: times.length / taken, p50_us: at.(0.5), p99_us: at.(0.99) }
  end

  private

  def clock = Process.clock_gettime(Process::CLOCK_MONOTONIC, :microsecond)

  def together(seconds)
    finish = clock + seconds * 1e6
    threads = Array.new(@tasks) do
      Thread.new do
        times = []
        now = clock
        while now < finish
          operate
          was, now = now, clock
          times << now - was
        end
        times
      end
    end
    threads.flat_map(&:value)
  end

  def operate
    n = @lock.synchronize { @next += 1 }
    row = (n + @seed % @rows) * 7_919 % @rows
    number = (@seed / 1_000 + n) % 100_000_000
    case @operation
    when "insert" then @rival.insert(other_id(@seed, n), number)
    when "save" then @rival.save(id(row), number)
    when "mix" then (n % 10).zero? ? @rival.save(id(row), number) : @rival.find(id(row))
    else @rival.find(id(row))
    end
  end
end

arguments = ARGV.to_h { |argument| argument.delete_prefix("--").split("=", 2) }
warm_up, seconds = arguments.values_at("warm-up", "seconds").map { |value| Float(value) }
puts JSON.generate(Measure.new(arguments).run(warm_up, seconds))
