# The gem gelf as Debian has it: sends the events that stand on standard input over UDP.
#
# Arguments: the client, and where to find the server (HTTP, TCP and UDP port, token). Each event is {text, level, extra}.

require 'gelf'
require 'json'

notifier = GELF::Notifier.new('127.0.0.1', Integer(ARGV[3]), 'LAN', facility: 'shop')
JSON.parse($stdin.read).each do |event|
  message = { 'short_message' => event['text'] }
  event['extra'].each { |name, value| message["_#{name}"] = value }
  notifier.public_send(event['level'], message)
end
