# Ruby, puma with a port of its own (rails server -p 80 is the same). As root, in this folder, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --pass adopt --ready http:http:/ \
#         --settle 500ms -- puma -p 80 --threads 8:8 puma.ru
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data --pass adopt -- puma -p 80 --threads 8:8 puma.ru
#
# With --pass adopt it gets the launcher's socket when it binds. On TERM, the stop signal, it finishes requests in
# flight, but drops connections on which nothing has come yet: --settle makes sure that there are none.
run(lambda do |environment|
  sleep 2 if environment['PATH_INFO'] == '/slow'
  [200, { 'content-type' => 'text/plain' }, ["pid: #{Process.pid}\n"]]
end)
