# Sessions of a Rails app in the envelope that sqlbypass reads and writes (docs/encryption.md).
#
#   # config/initializers/session_store.rb
#   require Rails.root.join("lib/encrypted_session")
#   EncryptedSession.keys = SessionKeys.parse(File.read("/etc/shop/session.keys"))
#   ActionDispatch::Session::ActiveRecordStore.session_class = EncryptedSession
#
# It needs ActiveRecord (6.1 or newer) and Ruby's own openssl.
require "active_record"
require "digest"
require "json"
require "openssl"

# A ring of keys: the first one writes, all read. Its text has a key on each line, as id:secret, the
# secret being 32 random bytes in base64 or hex.
class SessionKeys
  # What cannot be opened. The message holds neither data nor keys.
  class Error < StandardError; end

  MARK = "sbe1."
  INFO = "sqlbypass/session/1"
  SALT = 24
  TAG = 16
  SHAPE = /\Asbe1\.([A-Za-z0-9_-]{1,32})\.([A-Za-z0-9_-]*)\z/

  def self.parse(text)
    keys = {}
    text.each_line.with_index(1) do |line, number|
      line = line.strip
      next if line.empty? || line.start_with?("#")
      id, secret = line.split(":", 2)
      bytes = secret && bytes(secret.strip)
      unless id.match?(/\A[A-Za-z0-9_-]{1,32}\z/) && bytes && !keys.key?(id)
        raise ArgumentError, "line #{number} of the session keys is no key, or an id is there twice"
      end
      keys[id] = bytes
    end
    raise ArgumentError, "there are no session keys" if keys.empty?
    new(keys)
  end

  # The secret, or nil if it is not 32 bytes.
  def self.bytes(secret)
    return [secret].pack("H*") if secret.match?(/\A\h{64}\z/)
    bytes = secret.tr("-_", "+/").delete_suffix("=").concat("=").unpack1("m0")
    bytes if bytes.bytesize == 32
  rescue ArgumentError
    nil
  end
  private_class_method :bytes

  def initialize(keys)
    @keys = keys
  end

  def inspect
    "#<SessionKeys #{@keys.keys.join(" ")}>"
  end

  def self.envelope?(text)
    text.is_a?(String) && text.start_with?(MARK)
  end

  # The envelope of this content, for this row alone.
  def seal(row, content)
    id, secret = @keys.first
    header = "#{MARK}#{id}."
    salt = OpenSSL::Random.random_bytes(SALT)
    cipher = cipher(:encrypt, secret, salt)
    cipher.auth_data = header + row
    sealed = cipher.update(content) + cipher.final
    header + [salt + sealed + cipher.auth_tag(TAG)].pack("m0").tr("+/", "-_").delete("=")
  end

  # The content of an envelope that was sealed for this row.
  def open(row, text)
    id, body = SHAPE.match(text)&.captures
    raise Error, "the session's envelope is damaged" unless id
    secret = @keys[id] or raise Error, "the session's key #{id} is not on the ring"
    body = body.tr("-_", "+/").then { |base64| base64 + "=" * (-base64.size % 4) }.unpack1("m0")
    raise Error, "the session's envelope ends too early" if body.bytesize < SALT + 1 + TAG
    salt, sealed, tag = body[0, SALT], body[SALT...-TAG], body[-TAG..]
    cipher = cipher(:decrypt, secret, salt)
    cipher.auth_tag = tag
    cipher.auth_data = "#{MARK}#{id}.#{row}"
    cipher.update(sealed) + cipher.final
  rescue OpenSSL::Cipher::CipherError
    raise Error, "the session's seal does not fit: it was changed or moved, or the key is another"
  rescue ArgumentError
    raise Error, "the session's envelope is no base64"
  end

  private

  def cipher(way, secret, salt)
    derived = OpenSSL::KDF.hkdf(secret, salt: salt, info: INFO, length: 44, hash: "SHA256")
    OpenSSL::Cipher.new("aes-256-gcm").public_send(way).tap do |cipher|
      cipher.key = derived[0, 32]
      cipher.iv = derived[32, 12]
    end
  end
end

# The session class: set it as that of activerecord-session_store, or use it by itself.
class EncryptedSession < ActiveRecord::Base
  self.table_name = "sessions"

  # The ring; :marshal or :json, as the serializer was before; and what becomes of plain rows:
  # :refuse, :read (and written encrypted), or :write (and written plain, to leave encryption).
  class_attribute :keys, instance_accessor: false
  class_attribute :serializer, instance_accessor: false, default: :marshal
  class_attribute :plain, instance_accessor: false, default: :refuse
  class_attribute :data_column, instance_accessor: false, default: "data"

  before_save :seal_data

  # The row as the seal knows it: the private id, also while the row still has the raw one.
  def self.row(id)
    id.match?(/\A\d+::/) ? id : "2::#{Digest::SHA256.hexdigest(id)}"
  end

  # A session that cannot be opened raises SessionKeys::Error, and its row stays as it is.
  def data
    @data ||= open_data
  end

  def data=(data)
    @data = data
  end

  def loaded?
    !@data.nil?
  end

  def reload(*)
    @data = @content = nil
    super
  end

  private

  def open_data
    stored = self[self.class.data_column]
    return {} if stored.nil?
    if SessionKeys.envelope?(stored)
      @content = self.class.keys.open(self.class.row(session_id), stored)
    else
      raise SessionKeys::Error, "the session is not encrypted" if self.class.plain == :refuse
      @content = packed(stored)
    end
    load_content(@content)
  end

  # Every seal differs, so what is equal is not sealed again, and the UPDATE is not sent.
  def seal_data
    return unless loaded?
    content = dump_content(data)
    return if content == @content && !new_record?
    row = self.class.row(session_id)
    sealed = self.class.plain == :write ? unpacked(content) : self.class.keys.seal(row, content)
    self[self.class.data_column] = sealed
    @content = content
  end

  # The first byte says what the others are: 0, the column's text; 1, what its base64 was made of.
  def packed(text)
    text.start_with?("BAh") ? "\x01".b + text.unpack1("m") : "\x00".b + text.b
  end

  def unpacked(content)
    content.getbyte(0) == 1 ? [content.byteslice(1..)].pack("m") : text(content)
  end

  def text(content)
    content.byteslice(1..).force_encoding(Encoding::UTF_8)
  end

  def dump_content(data)
    return "\x01".b + Marshal.dump(data) if self.class.serializer == :marshal
    "\x00".b + JSON.generate("value" => data).b
  end

  def load_content(content)
    case content.getbyte(0)
    when 1 then Marshal.load(content.byteslice(1..))
    when 0
      text = text(content)
      return Marshal.load(text.unpack1("m")) if text.start_with?("BAh")
      JSON.parse(text)["value"] || {}
    else raise SessionKeys::Error, "a newer version has written the session"
    end
  end
end
