# Perl, Starlet, with any Plack application. As root, in this folder, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --ready http:http:/ --pass server-starter \
#         --settle 500ms -- plackup --server Starlet --max-workers 16 starlet.psgi
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data --pass server-starter \
#         -- plackup --server Starlet --max-workers 16 starlet.psgi
#
# --pass server-starter announces the socket as start_server does. On TERM, the stop signal, Starlet finishes requests
# in flight, but drops connections on which nothing has come yet: --settle makes sure that there are none.
use strict;
use warnings;

sub {
    my $environment = shift;
    # sleep returns early when the stop signal arrives.
    my $until = time + ($environment->{PATH_INFO} eq '/slow' ? 3 : 0);
    sleep 1 while time < $until;
    return [200, ['Content-Type' => 'text/plain'], ["pid: $$\n"]];
};
