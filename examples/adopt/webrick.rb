# Ruby, WEBrick, which binds its port by itself. As root, in this folder, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --pass adopt --ready http:http:/ \
#         --settle 500ms -- ruby webrick.rb
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data --pass adopt -- ruby webrick.rb
#
# With --pass adopt it gets the launcher's socket when it binds. shutdown drops connections that are accepted and not
# yet read: --settle makes sure that there are none.
require 'webrick'

server = WEBrick::HTTPServer.new(BindAddress: '0.0.0.0', Port: 80, AccessLog: [])
server.mount_proc '/' do |request, response|
  sleep 2 if request.path == '/slow'
  response.body = "pid: #{Process.pid}\n"
end

# The stop signal: shutdown closes the listener, and start returns when requests in flight are finished.
trap('TERM') { server.shutdown }
server.start
