#!/usr/bin/perl
# An adapter for treeward-device-guard in Perl. What it controls are files, as in files.sh, but each keeps the ticket of
# the last call that changed it, also after what it described is gone. So a guard that was killed between an effect and its
# record finds out by `observe` that it was done, and nothing is run a second time.
#
#   treeward-device-guard --data guard.sqlite -- perl files.pl DIRECTORY
use strict;
use warnings;
use JSON::PP;

my $json = JSON::PP->new->canonical;
my ($directory) = @ARGV;
my $line = <STDIN>;
exit 1 unless defined $line && $line =~ /\n\z/;    # a guard that is killed while it starts us sends nothing
my $errand = $json->decode($line);
my $file = "$directory/$errand->{zone}.$errand->{kind}.$errand->{id}";

my $held = { exists => JSON::PP::false };
if (open my $in, '<', $file) { local $/; $held = $json->decode(<$in>) }

# Effect and ticket in one step: whoever is killed has written both or neither.
sub put {
    my ($new) = @_;
    $held = { %$held, %$new };
    open my $out, '>', "$file.new" or die "$file.new: $!\n";    # dying is an honest answer: nobody knows how far
    print {$out} $json->encode($held) or die "$file.new: $!\n";
    close $out or die "$file.new: $!\n";
    rename "$file.new", $file or die "$file: $!\n";
}

sub refuse { print $json->encode({ status => 'refused', reason => $_[0] }), "\n"; exit 0 }

my %do = (
    observe => sub { },
    make    => sub { put({ exists => JSON::PP::true, definition => $errand->{definition} }) },
    remove  => sub { put({ exists => JSON::PP::false, definition => undef }) },
    call    => sub {
        my ($operation, $ticket) = @$errand{qw(operation ticket)};
        return if ($held->{ticket} // 0) == $ticket;           # this very ticket has done its work
        if ($operation eq 'create') {
            refuse("$errand->{id} exists") if $held->{exists};
            put({ exists => JSON::PP::true, definition => $errand->{spec} // {}, ticket => $ticket });
        }
        elsif ($operation eq 'destroy') {
            refuse("$errand->{id} does not exist") unless $held->{exists};
            put({ exists => JSON::PP::false, definition => undef, ticket => $ticket });
        }
        elsif ($operation eq 'restore') {                      # others have changed it or taken it away
            my $definition = $errand->{definition} or refuse("restore names no definition");
            put({ exists => JSON::PP::true, definition => $definition, ticket => $ticket });
        }
        else { refuse("nothing here can $operation") }
    },
);
($do{ $errand->{verb} } // sub { refuse("this adapter does not $errand->{verb}") })->();
print $json->encode({ status => 'ok', %$held }), "\n";
