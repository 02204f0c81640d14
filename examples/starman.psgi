# Perl, Starman, with any Plack application. As root, in this folder; again, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --ready http:http:/ --pass server-starter \
#         --stop-signal QUIT -- starman --workers 16 starman.psgi
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data --pass server-starter -- starman --workers 16 starman.psgi
#
# Starman is told of its socket as start_server would tell it. QUIT is the stop signal on which it finishes what is in
# flight; on TERM it drops that.
use strict;
use warnings;

sub {
    my $environment = shift;
    # sleep returns early when the stop signal arrives.
    my $until = time + ($environment->{PATH_INFO} eq '/slow' ? 2 : 0);
    sleep 1 while time < $until;
    return [200, ['Content-Type' => 'text/plain'], ["pid: $$\n"]];
};
