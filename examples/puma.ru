# Ruby, puma, with any Rack application: Rails, Sinatra. As root, in this folder; again, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --ready http:http:/ \
#         --settle 500ms -- puma --bind tcp://0.0.0.0:80 --threads 8:8 puma.ru
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data -- puma --bind tcp://0.0.0.0:80 --threads 8:8 puma.ru
#
# puma knows LISTEN_FDS, the default of --pass, and takes the socket whose address is that of --bind, to the letter.
# On the stop signal, TERM, it finishes what is in flight, and drops connections on which nothing has come yet: with
# --settle there are no new ones by then.
run(lambda do |environment|
  sleep 2 if environment['PATH_INFO'] == '/slow'
  [200, { 'content-type' => 'text/plain' }, ["pid: #{Process.pid}\n"]]
end)
