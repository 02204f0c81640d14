# For plackup: answers as the sample server does.
my $app = sub { [200, ['Content-Type' => 'text/plain'], ["label: $ENV{LABEL}\npid: $$\n"]] };
