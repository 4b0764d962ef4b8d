#!/usr/bin/perl
# A sampler in another language: differential evolution, as one answer to one question.
#
#   hpo_workflow asks on the standard input and reads the standard output; docs/how-to/external-sampler.md describes
#   both. Nothing is remembered between two calls: the population are the best results so far.
#
# Source: Storn and Price 1997; the base of a mixture is the best of the three that it takes.
use strict;
use warnings;
use JSON::PP;    # comes with Perl

my ( $POPULATION, $WEIGHT, $CROSSOVER ) = ( 10, 0.6, 0.9 );

my $question = decode_json( do { local $/; <STDIN> } );
die "this program speaks protocol 1, not $question->{protocol}\n" unless $question->{protocol} == 1;
srand( $question->{seed} );

my @space = @{ $question->{space} };
my @good = sort { $a->{loss} <=> $b->{loss} } grep { defined $_->{loss} } @{ $question->{history} };
$#good = $POPULATION - 1 if @good > $POPULATION;

my @proposals = map { proposal() } 1 .. $question->{n};
print JSON::PP->new->utf8->canonical->encode( { proposals => \@proposals } ), "\n";

# One configuration: a mixture of four good ones, or a random one while there are fewer.
sub proposal {
    my @parents = @good >= 4 ? shuffled(@good) : ();
    @parents[ 0 .. 2 ] = sort { $a->{loss} <=> $b->{loss} } @parents[ 0 .. 2 ] if @parents;
    my $kept = @parents ? int( rand(@space) ) : 0;    # at least this parameter is a new one
    my %params;
    for my $i ( 0 .. $#space ) {
        my $parameter = $space[$i];
        next unless is_active( $parameter, \%params );
        my $name = $parameter->{name};
        my @values = grep { defined } map { $_->{params}{$name} } @parents;
        if ( @values < 4 ) {                          # inactive in some parents
            $params{$name} = value_at( $parameter, rand() );
        }
        elsif ( $i != $kept && rand() > $CROSSOVER ) {
            $params{$name} = $values[3];
        }
        elsif ( $parameter->{type} eq 'choice' ) {
            $params{$name} = $values[ int( rand(3) ) ];
            $params{$name} = value_at( $parameter, rand() ) if rand() < 0.1;
        }
        else {
            my ( $base, $one, $other ) = map { place_of( $parameter, $_ ) } @values[ 0 .. 2 ];
            my $place = $base + $WEIGHT * ( $one - $other ) + 0.02 * ( rand() - 0.5 );
            $place = -$place     if $place < 0;       # reflected at the ends of the range
            $place = 2 - $place  if $place > 1;
            $params{$name} = value_at( $parameter, $place < 0 ? rand() : $place );
        }
    }
    return \%params;
}

# A value's place between 0 and 1, on the scale that the parameter has; and the value at a place.
sub place_of {
    my ( $parameter, $value ) = @_;
    my ( $low, $high ) = @$parameter{qw(low high)};
    return 0.5 if $low == $high;
    return ( log($value) - log($low) ) / ( log($high) - log($low) ) if $parameter->{log};
    return ( $value - $low ) / ( $high - $low );
}

sub value_at {
    my ( $parameter, $place ) = @_;
    if ( $parameter->{type} eq 'choice' ) {
        my @choices = @{ $parameter->{choices} };
        return $choices[ int( $place * @choices * 0.999999 ) ];
    }
    my ( $low, $high, $step ) = @$parameter{qw(low high step)};
    my $value = $low * ( 1 - $place ) + $high * $place;
    $value = exp( log($low) * ( 1 - $place ) + log($high) * $place ) if $parameter->{log};
    $step = 1 if $parameter->{type} eq 'int' && !$step;
    if ($step) {
        my $steps = int( ( $value - $low ) / $step + 0.5 );
        $steps-- if $low + $steps * $step > $high * ( 1 + 1e-12 );
        $value = $low + $steps * $step;
    }
    return $value > $high ? $high : $value < $low ? $low : $value + 0;
}

# Whether all conditions of a parameter hold; parents come before their children.
sub is_active {
    my ( $parameter, $params ) = @_;
    for my $condition ( @{ $parameter->{when} } ) {
        my $value = $params->{ $condition->{parent} };
        return 0 unless defined $value;
        return 0 if $condition->{in} && !grep { same( $_, $value ) } @{ $condition->{in} };
        return 0 if defined $condition->{ge} && $value < $condition->{ge};
        return 0 if defined $condition->{gt} && $value <= $condition->{gt};
        return 0 if defined $condition->{le} && $value > $condition->{le};
        return 0 if defined $condition->{lt} && $value >= $condition->{lt};
    }
    return 1;
}

# Copies: Perl turns a number that was compared as text into text, also in what is printed.
sub same { my ( $one, $other ) = @_; return "$one" eq "$other" }

sub shuffled {
    my @items = @_;
    for my $i ( reverse 1 .. $#items ) {
        my $j = int( rand( $i + 1 ) );
        @items[ $i, $j ] = @items[ $j, $i ];
    }
    return @items;
}
