# Perl, Starlet, with any Plack application. As root, in this folder; again, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --ready http:http:/ --pass server-starter \
#         --settle 500ms -- plackup --server Starlet --max-workers 16 starlet.psgi
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data --pass server-starter \
#         -- plackup --server Starlet --max-workers 16 starlet.psgi
#
# Starlet is told of its socket as start_server would tell it. On the stop signal, TERM, it finishes what is in flight,
# and drops connections on which nothing has come yet: with --settle there are no new ones by then.
use strict;
use warnings;

sub {
    my $environment = shift;
    # sleep returns early when the stop signal arrives.
    my $until = time + ($environment->{PATH_INFO} eq '/slow' ? 3 : 0);
    sleep 1 while time < $until;
    return [200, ['Content-Type' => 'text/plain'], ["pid: $$\n"]];
};
