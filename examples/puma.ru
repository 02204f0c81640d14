# Ruby, puma, with any Rack application: Rails, Sinatra. As root, in this folder, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --ready http:http:/ \
#         --settle 500ms -- puma --bind tcp://0.0.0.0:80 --threads 8:8 puma.ru
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- puma --bind tcp://0.0.0.0:80 --threads 8:8 puma.ru
#
# puma knows LISTEN_FDS, the default of --pass, and takes the socket with exactly the address of --bind. On TERM, the
# stop signal, it finishes requests in flight, but drops connections on which nothing has come yet: --settle makes sure
# that there are none.
run(lambda do |environment|
  sleep 2 if environment['PATH_INFO'] == '/slow'
  [200, { 'content-type' => 'text/plain' }, ["pid: #{Process.pid}\n"]]
end)
