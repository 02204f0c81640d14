# Perl, Starman with a port of its own. As root, in this folder; again, for each new version:
#
#     reuseport-exec deploy web --socket http:0.0.0.0:80 --user www-data --pass adopt --ready http:http:/ \
#         --stop-signal QUIT -- starman --host 0.0.0.0 --port 80 --workers 16 starman.psgi
#
# Without a handoff, under a supervisor or by hand:
#
#     reuseport-exec --socket http:0.0.0.0:80 --user www-data --pass adopt \
#         -- starman --host 0.0.0.0 --port 80 --workers 16 starman.psgi
#
# With --pass adopt what it binds is the launcher's socket. QUIT is the stop signal on which Starman finishes what is in
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
